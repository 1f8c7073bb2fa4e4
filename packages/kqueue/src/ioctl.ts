// @kqpoll/kqueue/ioctl: sys/filio.h, the commands of ioctl for all files.
export { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD } from "./abi/constants.ts";
