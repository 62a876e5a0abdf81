/**
 * The recipe of the Debian image: real packages, then everything that a layer can say, as several tools write it.
 *
 *   1 mmdebstrap's tar of a minimal Debian                                              (as mmdebstrap writes tar)
 *   2 "large" only: compilers and interpreters, installed by apt; "small": 3 000 generated files     (umoci's diff)
 *   3 changes of many kinds: deletions, replacements, attributes, links, odd names                   (umoci's diff)
 *   4 opaque directories, times in nanoseconds, numbers and names that need extensions    (this repository's builder)
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, chown, link, lutimes, mkdir, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./peers.ts";
import { buildLayer, type TarEntry } from "./tar-builder.ts";

export type DebianVariant = "small" | "large";

export interface BuildPlaces {
  /** A scratch directory; the caller removes it. */
  readonly work: string;
  /** Becomes the OCI layout. */
  readonly layout: string;
  readonly tag: string;
}

const LARGE_PACKAGES = [["build-essential", "python3", "git"], ["golang-go"]];

export async function buildDebianImage(variant: DebianVariant, places: BuildPlaces): Promise<void> {
  const { work, layout, tag } = places;
  const image = `${layout}:${tag}`;
  await mkdir(work, { recursive: true });
  await run("umoci", ["init", "--layout", layout]);
  await run("umoci", ["new", "--image", image]);

  const base = join(work, "base.tar");
  await run("mmdebstrap", [
    "--quiet",
    "--variant=minbase",
    "--format=tar",
    debianCodename(),
    base,
    ...packageSources(),
  ]);
  await addLayer(image, base, "a minimal Debian");
  await rm(base);

  const bundle = join(work, "bundle");
  const rootfs = join(bundle, "rootfs");
  await run("umoci", ["unpack", "--image", image, bundle]);
  if (variant === "large") {
    for (const packages of LARGE_PACKAGES) {
      await installPackages(rootfs, packages);
      await repack(image, bundle, packages.join(" "));
    }
  } else {
    await writeManyFiles(join(rootfs, "srv/files"), 3000);
    await repack(image, bundle, "generated files");
  }
  await changeTree(rootfs);
  await repack(image, bundle, "changes of many kinds");

  const own = join(work, "own.tar");
  await writeFile(own, buildLayer(ownEntries()));
  await addLayer(image, own, "what only tar can say");
  await configure(image);
  await run("umoci", ["gc", "--layout", layout]);
}

async function addLayer(image: string, tar: string, comment: string): Promise<void> {
  await run("umoci", ["raw", "add-layer", "--image", image, "--history.created_by", comment, tar]);
}

async function repack(image: string, bundle: string, comment: string): Promise<void> {
  await run("umoci", ["repack", "--refresh-bundle", "--image", image, "--history.created_by", comment, bundle]);
}

async function configure(image: string): Promise<void> {
  const settings = {
    "config.cmd": ["/bin/bash"],
    "config.env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    "config.workingdir": ["/srv"],
    "config.label": ["org.opencontainers.image.title=Debian test image"],
  };
  const flags = Object.entries(settings).flatMap(([name, values]) => values.map((value) => `--${name}=${value}`));
  await run("umoci", ["config", "--no-history", "--image", image, ...flags]);
}

/** apt on this machine, with its own network settings, installs into the tree, where dpkg runs. */
async function installPackages(rootfs: string, packages: readonly string[]): Promise<void> {
  const apt = ["-q", "-o", `Dir=${rootfs}`, "-o", `DPkg::Chroot-Directory=${rootfs}`, "-o", "APT::Sandbox::User=root"];
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await run("apt-get", [...apt, "update"], { env });
  await run("apt-get", [...apt, "install", "-y", "--no-install-recommends", ...packages], { env });
  await run("apt-get", [...apt, "clean"], { env });
  await rm(join(rootfs, "var/lib/apt/lists"), { recursive: true });
  await mkdir(join(rootfs, "var/lib/apt/lists/partial"), { recursive: true });
}

async function writeManyFiles(directory: string, count: number): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    const folder = join(directory, String(at % 50));
    if (at < 50) await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `file-${at}`), `${`line of file ${at}\n`.repeat(at % 40)}`);
  }
}

async function changeTree(rootfs: string): Promise<void> {
  const at = (path: string | Buffer) => Buffer.concat([Buffer.from(`${rootfs}/`), Buffer.from(path)]);
  const text = (path: string) => join(rootfs, path);

  // Whiteouts of files, of a symlink and of whole directories.
  await rm(text("etc/issue.net"), { force: true });
  await rm(text("etc/os-release"), { force: true });
  await rm(text("usr/share/doc"), { recursive: true });
  // A file becomes a directory. (The other way round is left to layer 4: umoci writes whiteouts below what is no
  // directory any more, which other tools refuse.)
  await rm(text("etc/debian_version"));
  await mkdir(text("etc/debian_version"));
  await writeFile(text("etc/debian_version/inside"), "was a file\n");

  await mkdir(text("srv/kinds/deep/er"), { recursive: true });
  await writeFile(text("srv/kinds/set-id"), "set-id\n");
  await chown(text("srv/kinds/set-id"), 12_345, 54_321);
  await chmod(text("srv/kinds/set-id"), 0o6755);
  await mkdir(text("srv/kinds/sticky"));
  await chmod(text("srv/kinds/sticky"), 0o3777);
  await writeFile(text("srv/kinds/capable"), readFileSync("/bin/true"));
  await chmod(text("srv/kinds/capable"), 0o755);
  await run("setcap", ["cap_net_raw,cap_net_bind_service+ep", text("srv/kinds/capable")]);
  await writeFile(text("srv/kinds/linked"), "one inode, three names\n");
  await link(text("srv/kinds/linked"), text("srv/kinds/deep/linked-2"));
  await link(text("srv/kinds/linked"), text("srv/kinds/deep/er/linked-3"));
  await symlink("../../no/such/target", text("srv/kinds/dangling"));
  await symlink("/etc/passwd", text("srv/kinds/absolute"));
  await symlink(".", text("srv/kinds/self"));
  await lutimes(text("srv/kinds/self"), 1, 1_234_567_890);
  await writeFile(text("srv/kinds/attributes"), "");
  await run("setfattr", ["-n", "user.binary", "-v", "0x00ff0a3d20", text("srv/kinds/attributes")]);
  await run("setfattr", ["-n", "user.empty", text("srv/kinds/attributes")]);
  await run("setfattr", ["-n", "user.dir", "-v", "on a directory", text("srv/kinds/deep")]);
  await run("mkfifo", ["-m", "0620", text("srv/kinds/fifo")]);
  await run("mknod", [text("srv/kinds/null"), "c", "1", "3"]);
  await run("mknod", [text("srv/kinds/block"), "b", "259", "65537"]);
  await writeFile(text("srv/kinds/Grüße-世界-🙂"), "a name in UTF-8\n");
  await writeFile(at(Buffer.from("srv/kinds/latin1-\xe9", "latin1")), "a name that is no UTF-8\n");
  await writeFile(text("srv/kinds/with blank, comma:colon\\back\nline"), "a name that needs quoting\n");
  await writeFile(text("srv/kinds/sparse"), "beginning");
  await truncate(text("srv/kinds/sparse"), 8 * 1024 * 1024);
  await writeFile(text("srv/kinds/old"), "older than Unix\n");
  await utimes(text("srv/kinds/old"), 0, -86_400);
  await chmod(text("srv/kinds/deep/er"), 0o000);
}

/** Layer 4. Its implied parents, `srv/kinds/deep` among them, keep what layer 3 gave them. */
function ownEntries(): TarEntry[] {
  // Every level has its entry: what an implied directory of no lower layer looks like is each tool's own choice.
  const levels = Array.from({ length: 8 }, (_, at) => `srv/own/${"directory-of-some-length/".repeat(at + 1)}`);
  const longName = levels.at(-1) ?? "";
  const exact = { mtime: "1600000000.123456789" };
  return [
    { name: "srv/", type: "dir", mode: 0o755 },
    {
      name: "srv/own/",
      type: "dir",
      mode: 0o711,
      uid: 3_000_000,
      gid: 3_000_001,
      pax: { mtime: "1600000000.000000001" },
    },
    { name: "srv/own/nanoseconds", content: "exact\n", pax: exact },
    { name: "srv/own/nanoseconds-again", type: "hardlink", linkname: "srv/own/nanoseconds", pax: exact },
    ...levels.map((name): TarEntry => ({ name, type: "dir" })),
    { name: `${longName}leaf`, content: "a long name in a PAX header\n" },
    { name: `${longName}gnu`, longNames: "gnu", content: "a long name in GNU's way\n" },
    { name: "srv/own/to-far", type: "symlink", linkname: `${"../".repeat(40)}far` },
    { name: "srv/own/attribute", content: "x", xattrs: { "user.binary": Buffer.from([0, 10, 255, 61]) } },
    { name: "usr/share/bug", content: "was a directory\n" },
    { name: "usr/share/lintian", type: "symlink", linkname: "common-licenses" },
    { name: "srv/ghosts/", type: "dir" },
    { name: "srv/ghosts/.wh.never-was-there" },
    { name: "srv/kinds/deep/added-by-layer-4", content: "implied parents\n" },
    // Opaque, the marker behind the entries that survive it.
    { name: "etc/opt/", type: "dir" },
    { name: "etc/opt/kept", content: "after the marker\n" },
    { name: "etc/opt/.wh..wh..opq" },
    { name: "usr/share/common-licenses/", type: "dir" },
    { name: "usr/share/common-licenses/.wh..wh..opq" },
    { name: "usr/share/common-licenses/README", content: "The licences of the layers below are hidden.\n" },
    { name: "srv/kinds/.wh.linked" },
  ];
}

/** Every package source of this machine that is signed with Debian's own key, in either of apt's formats. */
function packageSources(): string[] {
  const places = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
  const found = places.filter((path) => existsSync(path) && /^\s*(deb|types:)\s/im.test(readFileSync(path, "utf8")));
  if (found.length === 0) throw new Error(`No Debian package source in ${places.join(" or ")}`);
  return found.slice(0, 1);
}

function debianCodename(): string {
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (codename) return codename;
  return execFileSync("lsb_release", ["-cs"], { encoding: "utf8" }).trim();
}
