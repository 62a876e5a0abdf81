/** What people keep in registries that is no container image, by the media types that give it away. */

/** In order: the first pattern that fits names it. */
const KINDS: readonly (readonly [RegExp, string])[] = [
  [/^application\/vnd\.cncf\.helm\./, "a Helm chart"],
  [/^application\/vnd\.dev\.cosign\.simplesigning\./, "a cosign signature"],
  [/^application\/vnd\.dev\.sigstore\./, "a Sigstore bundle"],
  [/^application\/vnd\.cncf\.notary\./, "a Notary signature"],
  [/^application\/vnd\.(?:in-toto|dsse)/, "an attestation"],
  [/^application\/(?:spdx|vnd\.cyclonedx|vnd\.syft)/, "a software bill of materials"],
  [/^text\/spdx/, "a software bill of materials"],
  [/wasm/, "a WebAssembly module"],
  [/^application\/vnd\.docker\.plugin\./, "a Docker plugin"],
  [/^application\/vnd\.docker\.compose\./, "a Compose project"],
  [/^application\/vnd\.cncf\.flux\./, "a Flux bundle"],
  [/^application\/vnd\.cncf\.model\./, "a machine-learning model"],
  [/^application\/vnd\.(?:docker\.ai|ollama)\./, "a machine-learning model"],
  [/^application\/vnd\.sylabs\.sif\./, "a Singularity image"],
  [/^application\/vnd\.cncf\.(?:openpolicyagent|kyverno|gatekeeper)/, "a policy bundle"],
  [/^application\/vnd\.(?:buildkit|docker)\.cacheconfig|^application\/vnd\.buildkit\./, "a build cache"],
  [/^application\/vnd\.oci\.artifact\./, "an OCI artifact"],
  [/\+encrypted$/, "encrypted"],
];

/** `a Helm chart`; undefined for what is not known here. */
export function artifactKind(mediaType: string): string | undefined {
  return KINDS.find(([pattern]) => pattern.test(mediaType))?.[1];
}
