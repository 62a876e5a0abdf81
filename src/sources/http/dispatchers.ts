/**
 * Dispatchers: the one file that knows undici by more than its types. There is one for each way out (transport, proxy, client
 * certificate), made when it is first needed.
 */
import { isIP } from "node:net";
import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent, Socks5ProxyAgent } from "undici";
import { basicAuthorization } from "./basic-authorization.ts";
import type { HostTransport } from "./host-transport.ts";
import { lookUpLocalhost } from "./localhost.ts";
import type { ProxyServer } from "./proxy-address.ts";
import { ProxyFailure } from "./proxy-failure.ts";
import { createTrust, type Trust } from "./trust.ts";

/** How one request goes out. Requests on the same way share connections. */
export interface Way {
  readonly https: boolean;
  readonly transport: HostTransport;
  readonly proxy: ProxyServer | undefined;
  /** Index of the client certificate that is shown. */
  readonly identity: number;
  readonly connectMs: number;
  /** Those who wait in different queues share no connections either: a slot must be worth one. */
  readonly queue: string;
}

export interface Dispatchers extends AsyncDisposable {
  /** Made when it is first needed: certificates, for example, are read for https only. */
  get(way: Way): Dispatcher;
}

/** `connections` are those to one origin that are open at once. */
export function openDispatchers(connections: number): Dispatchers {
  const trust = createTrust();
  const closing = new AbortController();
  const made = new Map<string, Dispatcher>();
  return {
    get(way) {
      const { https, transport, proxy, identity, queue } = way;
      const key = JSON.stringify([https, transport.key, proxy, identity, queue]);
      const dispatcher = made.get(key) ?? makeDispatcher(way, { connections, trust, closing: closing.signal });
      made.set(key, dispatcher);
      return dispatcher;
    },
    async [Symbol.asyncDispose]() {
      const destroyed = [...made.values()].map((dispatcher) => dispatcher.destroy());
      // undici leaves connections that are not there yet to their timeout, and with them the process
      closing.abort();
      await Promise.all(destroyed);
    },
  };
}

interface Parts {
  readonly connections: number;
  readonly trust: Trust;
  readonly closing: AbortSignal;
}

function makeDispatcher({ https, transport, proxy, identity, connectMs }: Way, parts: Parts): Dispatcher {
  const { connections, trust, closing: signal } = parts;
  const tls = https && {
    secureContext: trust.forHost(transport, identity),
    rejectUnauthorized: !transport.skipVerify,
  };
  // ours are sharper, but a connection that we gave up waiting for must end some day too
  const base = { timeout: connectMs, signal, lookup: lookUpLocalhost };
  const connect = { ...tls, ...base };
  const pool = {
    connections,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 10_000,
    // layers are fetched in parallel: one connection each is faster than streams that share one connection's window
    allowH2: false,
  };
  if (proxy === undefined) {
    return new Agent({ ...pool, connect: withAlerts(buildConnector({ ...connect, allowH2: false })) });
  }
  const { address, credentials } = proxy;
  if (proxy.kind === "socks5") {
    return new Socks5ProxyAgent(address, {
      ...credentials,
      connectTimeout: connectMs,
      connect: asProxyFailure(buildConnector(base)),
      requestTls: connect,
    });
  }
  const proxyTls = address.startsWith("https:") && { secureContext: trust.forProxies() };
  return new ProxyAgent({
    ...pool,
    uri: address,
    ...(credentials !== undefined && { token: basicAuthorization(credentials) }),
    requestTls: connect,
    proxyTls: { ...proxyTls, ...base },
    clientFactory: (origin, settings: Pool.Options) =>
      new Pool(origin, toProxy({ ...settings, headersTimeout: connectMs })),
    // plain http is not tunnelled: these connections, too, are to the proxy
    factory: (origin, settings: Pool.Options) =>
      new Pool(origin, https ? toHost(settings) : toProxy({ ...pool, ...settings })),
  });
}

function toHost(settings: Pool.Options): Pool.Options {
  const { connect } = settings;
  return typeof connect === "function" ? { ...settings, connect: withAlerts(connect) } : settings;
}

/**
 * In TLS 1.3 a server looks at a client certificate when the connection stands already; what it says then comes as an error
 * of the socket, followed by its end, of which undici tells the latter. Ending the socket with the error makes it the reason.
 */
function withAlerts(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      socket.once("error", (alert) => socket.destroy(alert));
      callback(null, socket);
    });
}

function toProxy(settings: Pool.Options): Pool.Options {
  const { connect } = settings;
  return typeof connect === "function" ? { ...settings, connect: asProxyFailure(connect) } : settings;
}

/** Marks what goes wrong on the way to a proxy, which would else be told of the host behind it. */
function asProxyFailure(connect: buildConnector.connector): buildConnector.connector {
  return ({ servername, ...options }, callback) => {
    // undici gives a proxy's address for its name; TLS has no names that are addresses (RFC 6066, 3)
    const named = servername !== undefined && isIP(servername) === 0 ? { ...options, servername } : options;
    connect(named, (...[error, socket]) => {
      if (error === null) callback(null, socket);
      else callback(new ProxyFailure(error), null);
    });
  };
}
