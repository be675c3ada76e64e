import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./", // relative addresses: the built page works in any folder of any host of static files
  build: { target: "es2023", chunkSizeWarningLimit: 1000 },
  worker: { format: "es" },
  test: {
    include: ["test/**/*.test.ts"],
    alias: { "onnxruntime-web/wasm": "onnxruntime-web" }, // which Node gets another build of
  },
});
