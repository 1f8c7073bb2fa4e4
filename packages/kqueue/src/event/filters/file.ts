// The system filter of descriptors: passes the knote to the filters of its file.
import { kassert, unreachable } from "../../base/assert.ts";
import type { File } from "../../file/file.ts";
import { type Filterops, filterops } from "../filterops.ts";
import type { Knote } from "../knote.ts";

/** @kern filt_fileattach */
function fileAttach(kn: Knote): number {
	const error = (kn.fp as File).kqfilter(kn);
	kassert(Number.isInteger(error) && error >= 0, "kqfilter returns 0 or an errno");
	kassert(
		error !== 0 || (kn.fop !== fileFiltops && kn.fop.isfd),
		"kqfilter sets kn.fop to a filter",
	);
	return error;
}

function replaced(): never {
	return unreachable("kqfilter has replaced this filter");
}

/** READ, WRITE, VNODE, DEVICE and EXCEPT. */
export const fileFiltops: Filterops = filterops({
	name: "file",
	attach: fileAttach,
	detach: replaced,
	event: replaced,
	modify: replaced,
	process: replaced,
});
