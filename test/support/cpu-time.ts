/**
 * Milliseconds of CPU that this process has taken. Limits of time are held to these: what else the machine does, other
 * tests among it, makes work last longer, and not take more.
 */
export function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
