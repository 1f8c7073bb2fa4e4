// @kqpoll/files: emulated descriptors.
export { O_CLOEXEC, PIPE_BUF, pipe, pipe2 } from "./pipe.ts";
