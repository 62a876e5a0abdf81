/** A SOCKS 5 proxy (RFC 1928, 1929) that knows where names lead, and remembers what it was asked for. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface SocksServer extends AsyncDisposable {
  readonly host: string;
  /** `host:port`, in order. */
  readonly requests: readonly string[];
}

export interface SocksServerOptions {
  /** `host:port` → port on this machine. */
  readonly hosts: Readonly<Record<string, number>>;
  /** `user:password` */
  readonly credentials?: string;
}

export async function startSocksServer(options: SocksServerOptions): Promise<SocksServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
  };
  const server = createServer((client) => {
    keep(client);
    void serve(client).catch(() => client.destroy());
  });

  async function serve(client: Socket): Promise<void> {
    const [, methods = 0] = await take(client, 2);
    await take(client, methods);
    const wantsPassword = options.credentials !== undefined;
    client.write(Buffer.from([5, wantsPassword ? 2 : 0]));
    if (wantsPassword) {
      const name = await take(client, (await take(client, 2))[1] ?? 0);
      const password = await take(client, (await take(client, 1))[0] ?? 0);
      const good = `${name.toString()}:${password.toString()}` === options.credentials;
      client.write(Buffer.from([1, good ? 0 : 1]));
      if (!good) return void client.end();
    }
    const [, , , kind] = await take(client, 4);
    const name = kind === 1 ? [...(await take(client, 4))].join(".") : await takeName(client);
    const target = `${name}:${(await take(client, 2)).readUInt16BE()}`;
    requests.push(target);
    const port = options.hosts[target];
    client.write(Buffer.from([5, port === undefined ? 4 : 0, 0, 1, 0, 0, 0, 0, 0, 0]));
    if (port === undefined) return void client.end();
    const onward = keep(connect(port, "127.0.0.1"));
    client.on("data", (chunk) => onward.write(chunk)).on("close", () => onward.destroy());
    onward.on("data", (chunk) => client.write(chunk)).on("close", () => client.destroy());
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function takeName(socket: Socket): Promise<string> {
  return (await take(socket, (await take(socket, 1))[0] ?? 0)).toString();
}

/** Exactly so many bytes. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    if (count === 0) return Buffer.alloc(0);
    const bytes = socket.read(count) as Buffer | null;
    if (bytes !== null) return bytes;
    await new Promise<void>((resolve, reject) => {
      socket.once("readable", resolve);
      socket.once("close", () => reject(new Error("it went away")));
    });
  }
}
