/**
 * Where a worker thread's script lies. Workers run compiled JavaScript: beside this module in the built package, and in
 * `dist/` while the sources run under the test runner (which transpiles only its own thread).
 */

/** @param path of the script below the package's root folder of modules, without extension: `engine/onnxruntime/worker` */
export function workerUrl(path: string): URL {
  return import.meta.url.endsWith(".ts")
    ? new URL(`../dist/${path}.js`, import.meta.url)
    : new URL(`./${path}.js`, import.meta.url);
}
