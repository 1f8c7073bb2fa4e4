// @kqpoll/wasi: a host of programs that were compiled for WASI preview1.
export type { WaitMode } from "./guest/guest.ts";
export { ProcessExit } from "./guest/trouble.ts";
export { NotStarted, type Runner } from "./runner.ts";
export { type SpawnOptions, spawn } from "./spawn.ts";
export type { Input, Output } from "./stdio.ts";
export { type Directory, WASI, type WASIOptions } from "./wasi.ts";
