import { defineConfig } from "vitest/config";

// Relative addresses: the built page works in any folder of any host of static files.
export default defineConfig({
  base: "./",
  build: { target: "es2023", chunkSizeWarningLimit: 1000 },
  worker: { format: "es" },
  test: { include: ["test/**/*.test.ts"] },
});
