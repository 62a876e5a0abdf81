/**
 * What an ACI says about running it, in the words of an OCI image configuration, so that everything after the source knows
 * one vocabulary. What OCI has no words for is in src/runtime/appc-config.ts.
 */
import type { AciApp, AciManifest } from "./aci-manifest.ts";
import type { ExecutionConfig } from "./image-config.ts";

/** In the OCI manifest that is made for an ACI: the digest of the ACI's own manifest, which is kept beside it. */
export const ACI_MANIFEST_ANNOTATION = "rootwright.appc.manifest";

/** Appc annotation → the OCI label that says the same (image-spec annotations.md). */
const LABELS: Readonly<Record<string, string>> = {
  created: "org.opencontainers.image.created",
  authors: "org.opencontainers.image.authors",
  homepage: "org.opencontainers.image.url",
  documentation: "org.opencontainers.image.documentation",
};

/** Members that say nothing are left out, so that equal ACIs give equal bytes. */
export function executionConfigOf({ app, annotations }: AciManifest): ExecutionConfig {
  const labels = {
    ...app?.userAnnotations,
    ...app?.userLabels,
    ...Object.fromEntries(Object.entries(annotations).map(([name, value]) => [labelName(name), value])),
  };
  return {
    ...(app !== undefined && runningOf(app)),
    ...(Object.keys(labels).length > 0 && { Labels: labels }),
  };
}

function labelName(annotation: string): string {
  return Object.hasOwn(LABELS, annotation) ? (LABELS[annotation] as string) : annotation;
}

function runningOf(app: AciApp): ExecutionConfig {
  const user = userOf(app);
  const ports = app.ports.map(({ port, count, protocol }) => {
    // a range stays one entry: a manifest of a few bytes may name all ports there are
    const last = port + count - 1;
    return `${port}${last > port ? `-${last}` : ""}/${protocol}`;
  });
  const environment = app.environment.map(({ name, value }) => `${name}=${value}`);
  return {
    ...(user !== "" && { User: user }),
    ...(ports.length > 0 && { ExposedPorts: setOf(ports) }),
    ...(environment.length > 0 && { Env: environment }),
    ...(app.exec.length > 0 && { Entrypoint: [...app.exec] }),
    ...(app.mountPoints.length > 0 && { Volumes: setOf(app.mountPoints.map((mount) => mount.path)) }),
    ...(app.workingDirectory !== "" && { WorkingDir: app.workingDirectory }),
  };
}

/** `user:group`. Either may be an absolute path, which stands for the owner of that file. */
function userOf({ user, group }: AciApp): string {
  return group === "" ? user : `${user === "" ? "0" : user}:${group}`;
}

function setOf(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries([...new Set(names)].map((name) => [name, {}]));
}
