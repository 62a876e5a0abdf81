/** Ids of root filesystems: chosen by callers, so checked before anything else sees them. */
import { StoreError } from "./errors.ts";

const PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,254}$/;

/** Throws StoreError `rootfs-invalid-id`. */
export function assertRootfsId(id: string): void {
  if (typeof id === "string" && PATTERN.test(id) && !id.includes("..")) return;
  const quoted = JSON.stringify(String(id).slice(0, 80));
  throw new StoreError(
    "rootfs-invalid-id",
    `Cannot use ${quoted} as the id of a root filesystem: ${reasonAgainst(String(id))}`,
    {
      details: { id: String(id).slice(0, 80) },
      hint: "an id is 1 to 255 of A-Z a-z 0-9 _ . : - and starts with a letter or digit",
    },
  );
}

function reasonAgainst(id: string): string {
  if (id === "") return "it is empty";
  if (id.includes("/")) return "/ is reserved for root filesystems inside others, which do not exist yet";
  if (id.includes("..")) return "it contains ..";
  if (id.length > 255) return "it is longer than 255 bytes";
  if (!/^[A-Za-z0-9]/.test(id)) return "it does not start with a letter or digit";
  return "it has other characters than A-Z a-z 0-9 _ . : -";
}
