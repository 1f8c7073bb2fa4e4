// How typedoc checks that everything the entry points export is documented. Only `npm run api`
// makes it write pages.
import { OptionDefaults } from "typedoc";

// biome-ignore lint/style/noDefaultExport: typedoc reads its options from there
export default {
	entryPoints: [
		"../kqueue/src/index.ts",
		"../kqueue/src/kernel.ts",
		"../kqueue/src/testing.ts",
		"../kqpoll/src/index.ts",
		"../files/src/index.ts",
		"../files/src/kernel.ts",
		"../rxjs/src/index.ts",
		"../rxjs/src/testing.ts",
		"../node/src/index.ts",
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
	// RxJS's documentation of its methods has links into its own pages.
	excludeExternals: true,
	// Without this typedoc looks only at the root package, which exports nothing.
	packagesRequiringDocumentation: [
		"@kqpoll/kqueue",
		"@kqpoll/kqpoll",
		"@kqpoll/files",
		"@kqpoll/rxjs",
		"@kqpoll/node",
	],
	validation: { notDocumented: true, notExported: false },
	treatWarningsAsErrors: true,
};
