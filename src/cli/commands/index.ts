/** The table of commands, in the order of the help text. Adding one is one file and one line here. */
import type { Command } from "../command.ts";
import { destroy } from "./destroy.ts";
import { doctor } from "./doctor.ts";
import { images } from "./images.ts";
import { importCommand } from "./import.ts";
import { inspect } from "./inspect.ts";
import { plan } from "./plan.ts";
import { provision } from "./provision.ts";
import { ps } from "./ps.ts";
import { pull } from "./pull.ts";
import { resolve } from "./resolve.ts";
import { rm } from "./rm.ts";

export const COMMANDS: readonly Command[] = [
  plan,
  pull,
  resolve,
  provision,
  destroy,
  ps,
  images,
  inspect,
  rm,
  importCommand,
  doctor,
];
