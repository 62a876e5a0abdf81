/**
 * Places: the stops of a route as one image asks them. They remember, for as long as the image is being pulled, who
 * answered last (and is asked first from then on) and who has lied (and is not asked again).
 */
import type { DockerReference } from "../../image/reference.ts";
import type { Route, Stop } from "./hosts/route.ts";

export interface Place {
  readonly role: "mirror" | "origin";
  /** `host[:port]`, for messages. */
  readonly host: string;
  readonly stop: Stop;
  /** Without the endpoint's prefix. */
  readonly repository: string;
  /**
   * What is waited for to get better before the next is asked: failures of any kind at the last; at one that has nobody but
   * its own plain-http self behind it, only those that it answered with; nothing at a mirror.
   */
  readonly patience: "all" | "answers" | "none";
  /** Another name at a stop that comes before, worth asking only where that had nothing by its first name. */
  readonly secondName: boolean;
}

/** What is looked for: what a tag means, or content whose digest is known. */
export type Asking = "tag" | "digest";

export interface Places {
  /** In the order in which they are to be asked now. */
  list(asking: Asking): readonly Place[];
  answered(place: Place): void;
  /** Its bytes were wrong. */
  strike(place: Place): void;
  /** Hosts of places that are not asked any more, for messages. */
  readonly struck: readonly string[];
}

export function openPlaces(route: Route, reference: DockerReference): Places {
  const struck = new Set<string>();
  let places = route.stops.flatMap((stop) => placesAt(stop, patienceAt(stop, route), reference));
  return {
    list: (asking) => places.filter(({ stop }) => (asking === "tag" ? stop.resolvesTags : stop.resolvesDigests)),
    answered(place) {
      // under which of two names the image is there is settled now
      const others = places.filter((other) => other.stop !== place.stop);
      places = places.includes(place) ? [place, ...others] : others;
    },
    strike(place) {
      places = places.filter((other) => other !== place);
      struck.add(place.host);
    },
    get struck() {
      return [...struck];
    },
  };
}

/**
 * Usually one. Where docker.io is served by a registry of the operator's own, `busybox` may be kept there as Docker Hub
 * has it (library/busybox: a mirror) or as it was written (busybox: their own image), and both are looked for.
 */
function placesAt(stop: Stop, patience: Place["patience"], reference: DockerReference): readonly Place[] {
  const { role, repository } = stop;
  const { host } = stop.endpoint;
  const place: Place = { role, host, stop, repository, patience, secondName: false };
  if (stop.ownNames !== true || !repository.startsWith("library/") || reference.asTyped.includes("library/"))
    return [place];
  return [place, { ...place, repository: repository.slice("library/".length), secondName: true }];
}

function patienceAt(stop: Stop, { stops }: Route): Place["patience"] {
  if (stop === stops.at(-1)) return "all";
  return stop.role === "origin" ? "answers" : "none";
}

/** `asking mirror:5000 (mirror, from /etc/…/hosts.toml), then docker.io (origin)` */
export function describePlaces(places: readonly Place[]): string {
  if (places.length === 0) return "nobody may be asked";
  const names = places
    .filter(({ secondName }) => !secondName)
    .map(({ host, role, stop }) => `${host} (${role}, ${stop.configuredBy})`);
  return `asking ${names.join(", then ")}`;
}
