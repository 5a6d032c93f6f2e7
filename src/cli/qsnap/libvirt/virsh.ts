/** Commands of libvirt's own tool, to be pasted into a shell. */
import { elementText } from '../../xml.js';
import type { Words } from './done-edit.js';
import type { KnownSnapshot } from './domain-xml.js';
import type { ManagedDomain } from './managed-domains.js';

/** Whom a command is for, and how it is written. */
export interface VirshTarget {
  readonly domain: ManagedDomain;
  readonly words: Words;
}

/** A snapshot of which libvirt is to know. */
export interface NewlyKnown {
  readonly name: string;
  readonly seconds: number;
  readonly parent: string | undefined;
  readonly vmState: boolean;
}

export function forgetCommand(target: VirshTarget, name: string): readonly string[] {
  return typed(target, [name], (call) => [call('snapshot-delete', name, '--metadata')]);
}

export function currentCommand(target: VirshTarget, name: string): readonly string[] {
  return typed(target, [name], (call) => [call('snapshot-current', name)]);
}

/** libvirt takes a definition of the domain with it: it makes that of the domain as it is. */
export function knowCommand(target: VirshTarget, fresh: NewlyKnown): readonly string[] {
  const { name, parent, vmState, seconds } = fresh;
  return typed(target, [name, ...(parent === undefined ? [] : [parent])], (call) => {
    const head = [
      elementText('name', name),
      `<state>${vmState ? 'running' : 'shutoff'}</state>`,
      ...(parent === undefined ? [] : [`<parent>${elementText('name', parent)}</parent>`]),
      // libvirt hides one of the time 0.
      `<creationTime>${Math.max(1, seconds)}</creationTime>`,
      ...(vmState ? ["<memory snapshot='internal'/>"] : []),
    ].join('');
    const described = [
      `echo ${target.words.shellWord(`<domainsnapshot>${head}`)}`,
      call('dumpxml', undefined, '--inactive --security-info'),
      `echo '</domainsnapshot>'`,
    ].join('; ');
    const made = call('snapshot-create', undefined, '/dev/stdin --redefine --current');
    return [`{ ${described}; } | ${made}`];
  });
}

/** Another name: a new description, that of each child, and the old one away, whose children would go to its parent. */
export function renameCommands(
  target: VirshTarget,
  { name, isCurrent }: KnownSnapshot,
  newName: string,
): readonly string[] {
  const children = target.domain.snapshots.filter(({ parent }) => parent === name);
  const words = [name, newName, ...children.map((child) => child.name)];
  return typed(target, words, (call) => {
    const to = elementText('name', newName).replaceAll(/[&|]/g, String.raw`\$&`);
    const changed = (old: string, where: string, flags: string): string =>
      [
        call('snapshot-dumpxml', old, '--security-info'),
        `sed ${target.words.shellWord(`${where}|${to}|`)}`,
        call('snapshot-create', undefined, `/dev/stdin --redefine${flags}`),
      ].join(' | ');
    const flagOf = (one: KnownSnapshot): string => (one.isCurrent ? ' --current' : '');
    return [
      // The name is the first element.
      changed(name, '2s|<name>.*</name>', isCurrent ? ' --current' : ''),
      ...children.map((child) =>
        changed(child.name, '/<parent>/,/<.parent>/s|<name>.*</name>', flagOf(child)),
      ),
      call('snapshot-delete', name, '--metadata'),
    ];
  });
}

type Call = (command: string, name?: string, options?: string) => string;

/** The commands, or none where a name is not what is shown of it: nobody could type that. */
function typed(
  { domain: { name: domain, uri }, words }: VirshTarget,
  names: readonly string[],
  commands: (call: Call) => readonly string[],
): readonly string[] {
  if ([domain, ...names].some((name) => words.printable(name) !== name)) return [];
  const virsh = uri === undefined ? 'virsh' : `virsh -c ${uri}`;
  return commands((command, name, options) =>
    [
      `${virsh} ${command}`,
      argument('domain', domain, words),
      ...(name === undefined ? [] : [argument('snapshotname', name, words)]),
      ...(options === undefined ? [] : [options]),
    ].join(' '),
  );
}

function argument(option: string, value: string, words: Words): string {
  return words.shellWord(value.startsWith('-') ? `--${option}=${value}` : value);
}
