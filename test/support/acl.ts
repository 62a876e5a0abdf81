/** POSIX ACLs as the kernel keeps them (linux/posix_acl_xattr.h): extended attributes, which need no other program. */
import { openTree, type Tree } from "../../native/index.ts";

const [USER_OBJ, USER, GROUP_OBJ, MASK, OTHER] = [1, 2, 4, 16, 32];
const NOBODY = 0xffffffff;

/** `user::rwx,user:1234:rwx,group::r-x,mask::rwx,other::r-x` */
export const ACL_OF_USER_1234 = encodeAcl([
  [USER_OBJ, 7, NOBODY],
  [USER, 7, 1234],
  [GROUP_OBJ, 5, NOBODY],
  [MASK, 7, NOBODY],
  [OTHER, 5, NOBODY],
]);

/** A version, then tag and rights of 16 bits and an id for each entry. */
function encodeAcl(entries: readonly (readonly [tag: number, rights: number, id: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  for (const [index, [tag, rights, id]] of entries.entries()) {
    const at = 4 + 8 * index;
    bytes.writeUInt16LE(tag, at);
    bytes.writeUInt16LE(rights, at + 2);
    bytes.writeUInt32LE(id, at + 4);
  }
  return bytes;
}

/** As `setfacl -d -m u:1234:rwx` does: whatever is made in it from now on gets an ACL. */
export function giveDefaultAcl(path: string): void {
  using tree = openTree(path);
  tree.setXattr(".", "system.posix_acl_default", ACL_OF_USER_1234);
}

export function aclsOf(tree: Tree, path: string): string[] {
  return tree
    .xattrs(path)
    .map(([name]) => name)
    .filter((name) => name.startsWith("system.posix_acl_"))
    .sort();
}
