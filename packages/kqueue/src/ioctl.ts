// @kqpoll/kqueue/ioctl: sys/filio.h, the commands of ioctl that all files know.
export { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD } from "./abi/constants.ts";
