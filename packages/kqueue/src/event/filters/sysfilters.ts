// The table of system filters.
import type { Filterops } from "../filterops.ts";
import { fileFiltops } from "./file.ts";
import { procFiltops } from "./proc.ts";
import { sigFiltops } from "./signal.ts";
import { timerFiltops } from "./timer.ts";

/** The filters by the complement of their number. */
export const sysfilters: readonly (Filterops | null)[] = [
	fileFiltops, // READ
	fileFiltops, // WRITE
	null, // AIO
	fileFiltops, // VNODE
	procFiltops,
	sigFiltops,
	timerFiltops,
	fileFiltops, // DEVICE
	fileFiltops, // EXCEPT
];
