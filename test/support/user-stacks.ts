/**
 * A program of its own, since what an ordinary user sees takes a process of that user: shows random stacks by the copy
 * backend below the directory that is its argument, compares them with the model, and prints how many as JSON.
 */
import { asOrdinaryUser, openShower } from "./shown-stacks.ts";
import { equalsModel, forRandomStacks, noCounts } from "./stack-property.ts";

const [directory = "", cases = "0"] = process.argv.slice(2);
await using shower = await openShower(directory);
const counts = noCounts();
const property = equalsModel(counts, (stack) => shower.show(stack, { backend: "copy" }), asOrdinaryUser);
await forRandomStacks({ cases: Number(cases), stream: 5, parallel: 2 }, property);
console.log(JSON.stringify(counts));
