/**
 * Which IP addresses are somewhere inside: this machine, its networks, a cloud's metadata service. A server that fetches
 * URLs for its users must not reach them. Ranges: the IANA special-purpose address registries (RFC 6890 and successors).
 */

import { BlockList, isIP } from "node:net";

const special = new BlockList();
const V4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
for (const [network, bits] of V4) special.addSubnet(network, bits, "ipv4");

// Of IPv6 only 2000::/3 is public; these are its exceptions. 6to4 and Teredo carry an IPv4 address inside: refused whole.
const V6: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];
for (const [network, bits] of V6) special.addSubnet(network, bits, "ipv6");

const publicV6 = new BlockList();
publicV6.addSubnet("2000::", 3, "ipv6");
const mapped = new BlockList();
mapped.addSubnet("::ffff:0:0", 96, "ipv6");
const nat64 = new BlockList();
nat64.addSubnet("64:ff9b::", 96, "ipv6");

/** True unless `address` is an IP address that the public internet routes. IPv4 inside IPv6 is judged as IPv4. */
export function isPrivateAddress(address: string): boolean {
  const bare = address.split("%")[0]; // a zone index follows link-local addresses
  const version = isIP(bare);
  if (version === 4) return special.check(bare, "ipv4");
  if (version !== 6) return true;
  if (mapped.check(bare, "ipv6") || nat64.check(bare, "ipv6")) return isPrivateAddress(embeddedV4(bare));
  return !publicV6.check(bare, "ipv6") || special.check(bare, "ipv6");
}

/** The last 32 bits, in dots. */
function embeddedV4(address: string): string {
  if (address.includes(".")) return address.slice(address.lastIndexOf(":") + 1);
  // The URL parser writes out the canonical form, of which the last two groups are needed.
  const groups = new URL(`http://[${address}]/`).hostname.slice(1, -1).split(":");
  const [high, low] = groups.slice(-2).map((group) => parseInt(group === "" ? "0" : group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
