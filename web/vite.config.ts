import { defaultClientConditions } from "vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./", // relative addresses: the built page works in any folder of any host of static files
  build: { target: "es2023", chunkSizeWarningLimit: 1000 },
  worker: { format: "es" },
  // The runtime stays a file of its own: its threads load it again, which they could not do from inside the bundle.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    alias: { "onnxruntime-web/wasm": "onnxruntime-web" }, // which Node gets another build of
  },
});
