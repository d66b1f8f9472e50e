export { proxyFor } from "./proxy-settings.ts";
export { fetchThrough, getThrough, ProxyError, type ProxyAnswer } from "./through-proxy.ts";
