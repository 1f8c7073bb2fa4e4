// The descriptors that the programs of rows get: whoever starts them hands these over, in this
// order. launch.c does that on a Unix system, and ../rig.ts on an emulated one.
#ifndef RIG_H
#define RIG_H

enum {
	// Pipes: the end to read from, and behind it the end to write to.
	PIPES = 3,
	PIPE_COUNT = 8,
	// Pairs of connected local sockets.
	PAIRS = PIPES + 2 * PIPE_COUNT,
	PAIR_COUNT = 7,
	// Pairs of connected TCP sockets: the one that connected, and the accepted one.
	STREAMS = PAIRS + 2 * PAIR_COUNT,
	STREAM_COUNT = 4,
	// Terminals: the terminal, and behind it its master.
	TERMINALS = STREAMS + 2 * STREAM_COUNT,
	TERMINAL_COUNT = 2,
	// A TCP socket that listens, and another one to which somebody has connected.
	LISTENER = TERMINALS + 2 * TERMINAL_COUNT,
	VISITED,
	// The one who has connected.
	VISITOR,
	// A file of 5 bytes, to read and write.
	TEXT,
	// An empty file, to read only.
	EMPTY,
	// A directory.
	DIRECTORY,
	// /dev/null.
	NOTHING,
	RIG_END,
};

#endif
