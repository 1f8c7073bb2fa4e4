// How typedoc checks that everything the entry points export is documented. Only `npm run api`
// makes it write pages.
import { readdirSync, readFileSync } from "node:fs";
import { OptionDefaults } from "typedoc";

const PACKAGES = new URL("..", import.meta.url);

/** The entry points of the published packages, as their manifests name them. */
const entryPoints = readdirSync(PACKAGES)
	.sort()
	.map((name) => [
		name,
		JSON.parse(readFileSync(new URL(`${name}/package.json`, PACKAGES), "utf8")),
	])
	.filter(([, manifest]) => !manifest.private)
	.flatMap(([name, { exports }]) =>
		Object.values(exports)
			.filter((path) => path.endsWith(".ts"))
			.map((path) => `../${name}/${path}`),
	);

// biome-ignore lint/style/noDefaultExport: typedoc reads its options from there
export default {
	entryPoints,
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
