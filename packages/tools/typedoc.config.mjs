// How typedoc proves that everything the entry points export is documented; it writes nothing.
import { OptionDefaults } from "typedoc";

// biome-ignore lint/style/noDefaultExport: typedoc reads its options from there
export default {
	entryPoints: [
		"../kqueue/src/index.ts",
		"../kqueue/src/kernel.ts",
		"../kqueue/src/testing.ts",
		"../kqpoll/src/index.ts",
		"../files/src/index.ts",
	],
	tsconfig: "../../tsconfig.check.json",
	emit: "none",
	// The README is for the repository, its links lead into it.
	readme: "none",
	// Links to the source need a remote, which a fresh clone may not have.
	disableSources: true,
	// `@kern kqueue_scan` names the C function that a function of ours is.
	blockTags: [...OptionDefaults.blockTags, "@kern"],
	excludeInternal: true,
	// Without this typedoc looks only at the root package, which exports nothing.
	packagesRequiringDocumentation: ["@kqpoll/kqueue", "@kqpoll/kqpoll", "@kqpoll/files"],
	validation: { notDocumented: true, notExported: false },
	treatWarningsAsErrors: true,
};
