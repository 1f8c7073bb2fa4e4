// Runs the guests in C so that they block this worker, and sends how that went.
import { playAll } from "./guest-library.ts";

postMessage(await playAll("sync"));
