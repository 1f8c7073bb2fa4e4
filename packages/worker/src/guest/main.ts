// The program of a worker.
import type { Told } from "../abi/messages.ts";
import { inWorker } from "../platform.ts";
import { run } from "./run.ts";

const worker = inWorker();
if (worker !== null) worker.post(run(worker.told as Told, worker.post));
