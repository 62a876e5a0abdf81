/** The Authorization (or Proxy-Authorization) header of the Basic scheme, RFC 7617: user and password in UTF-8. */

export function basicAuthorization(credentials: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`, "utf8").toString("base64")}`;
}
