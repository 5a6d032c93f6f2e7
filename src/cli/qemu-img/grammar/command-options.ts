/** Which options each command takes, by the version of qemu-img. */
import type { Behaviour } from '../version/behaviour.js';
import type { Grammar } from './getopt.js';

/** Before 10.1 few options had long names; Debian's 10.0 has an early form of those that came then. */
type Form = 'old' | 'early' | 'settled';

/**
 * Letters first, then long names in the order in which messages list them. A colon follows an option that takes a
 * value; `name=x` is the long form of the letter x.
 */
const OPTIONS: Readonly<Record<string, Readonly<Record<Form, string>>>> = {
  amend: {
    old: 'f: h o: p q t: help=h object: image-opts force',
    early:
      'f: h o: p q t: help=h quiet=q progress=p object: format=f cache=t options=o image-opts force',
    settled:
      'f: h o: p q t: help=h options=o format=f image-opts cache=t force progress=p quiet=q object:',
  },
  bench: {
    old:
      'c: d: f: h i: n o: q s: t: w S: U help=h flush-interval: image-opts no-drain pattern: ' +
      'force-share=U',
    early:
      'c: d: f: h i: n o: q s: t: w S: U help=h format=f image-opts cache=t count=c depth=d ' +
      'offset=o buffer-size=s step-size=S aio=i native=n write=w pattern: flush-interval: ' +
      'no-drain force-share=U',
    settled:
      'c: d: f: h i: n o: q s: t: w S: U help=h format=f image-opts cache=t count=c depth=d ' +
      'offset=o buffer-size=s step-size=S write=w pattern: flush-interval: no-drain aio=i ' +
      'native=n force-share=U quiet=q object:',
  },
  bitmap: {
    old:
      'b: f: g: h F: help=h object: image-opts add remove clear enable disable merge: ' +
      'granularity=g source-file=b source-format=F',
    early:
      'b: f: g: h F: help=h object: image-opts add remove clear enable disable merge: ' +
      'granularity=g source-file=b source-format=F',
    settled:
      'b: f: g: h F: help=h format=f image-opts add granularity=g remove remove-all clear enable ' +
      'disable merge: source-file=b source-format=F object:',
  },
  check: {
    old: 'f: h q r: T: U help=h object: image-opts force-share=U format=f repair=r output:',
    early:
      'f: h q r: T: U help=h quiet=q format=f cache=T repair=r output: object: image-opts ' +
      'force-share=U',
    settled:
      'f: h q r: T: U help=h format=f image-opts cache=T repair=r force-share=U output: quiet=q ' +
      'object:',
  },
  commit: {
    old: 'b: d f: h p q r: t: help=h object: image-opts',
    early:
      'b: d f: h p q r: t: help=h quiet=q object: format=f image-opts cache=t drop=d base=b ' +
      'progress=p rate=r',
    settled:
      'b: d f: h p q r: t: help=h format=f image-opts cache=t drop=d base=b rate-limit=r ' +
      'progress=p quiet=q object:',
  },
  compare: {
    old: 'f: h p q s F: T: U help=h object: image-opts force-share=U',
    early:
      'f: h p q s F: T: U help=h quiet=q object: cache=T image-opts a-format=f left-format=f ' +
      'b-format=F right-format=F force-share=U strict=s progress=p',
    settled:
      'f: h p q s F: T: U help=h a-format=f b-format=F image-opts strict=s cache=T force-share=U ' +
      'progress=p quiet=q object:',
  },
  convert: {
    old:
      'c f: h l: m: n o: p q r: t: B: C F: O: S: T: U W help=h object: image-opts force-share=U ' +
      'target-image-opts salvage target-is-zero bitmaps skip-broken-bitmaps',
    early:
      'c f: h l: m: n o: p q r: t: B: C F: O: S: T: U W help=h quiet=q object: image-opts ' +
      'source-image-opts=image-opts source-format=f source-cache=T snapshot=l sparse-size=S ' +
      'output-format=O options=o output-cache=t backing=B backing-format=F force-share=U ' +
      'target-image-opts salvage target-is-zero bitmaps skip-broken-bitmaps rate=r parallel=m ' +
      'oob-writes=W copy-range-offloading=C',
    settled:
      'b: c f: h l: m: n o: p q r: t: B: C F: O: S: T: U W help=h source-format=f image-opts ' +
      'source-cache=T snapshot=l bitmaps skip-broken-bitmaps salvage target-format=O ' +
      'target-image-opts target-format-options=o target-cache=t backing=b backing-format=F ' +
      'sparse-size=S no-create=n target-is-zero force-share=U rate-limit=r parallel=m ' +
      'oob-writes=W copy-range-offloading=C progress=p quiet=q object:',
  },
  create: {
    old: 'b: f: h o: q u F: help=h object:',
    early:
      'b: f: h o: q u F: help=h quiet=q object: format=f backing=b backing-format=F ' +
      'backing-unsafe=u options=o',
    settled:
      'b: f: h o: q u B: F: help=h format=f options=o backing=b backing-format=B ' +
      'backing-unsafe=u quiet=q object:',
  },
  dd: {
    old: 'f: h O: U help=h object: image-opts force-share=U',
    early: 'f: h O: U help=h object: format=f output-format=O image-opts force-share=U',
    settled: 'f: h O: U help=h format=f image-opts output-format=O force-share=U object:',
  },
  info: {
    old: 'f: h U help=h object: image-opts force-share=U format=f output: backing-chain',
    early: 'f: h U help=h format=f output: backing-chain object: image-opts force-share=U',
    settled:
      'f: h t: U help=h format=f image-opts backing-chain cache=t force-share=U limits output: ' +
      'object:',
  },
  map: {
    old:
      'f: h l: s: U help=h object: image-opts force-share=U format=f output: start-offset=s ' +
      'max-length=l',
    early:
      'f: h l: s: U help=h format=f output: object: image-opts force-share=U start-offset=s ' +
      'max-length=l',
    settled:
      'f: h l: s: U help=h format=f image-opts start-offset=s max-length=l force-share=U output: ' +
      'object:',
  },
  measure: {
    old: 'f: h l: o: O: U help=h object: image-opts force-share=U size: output:',
    early:
      'f: h l: o: O: U help=h target-format=O format=f image-opts options=o snapshot=l object: ' +
      'output: size: force-share=U',
    settled:
      'f: h l: o: s: O: U help=h source-format=f format=f image-opts source-image-opts=image-opts ' +
      'snapshot=l target-format=O target-format-options=o options=o force-share=U output: object: ' +
      'size=s',
  },
  rebase: {
    old: 'b: f: h p q t: u F: T: U help=h object: image-opts force-share=U',
    early:
      'b: c f: h p q t: u F: T: U help=h quiet=q progress=p object: image-opts force-share=U ' +
      'format=f cache=t compress=c backing=b backing-format=F backing-cache=T backing-unsafe=u',
    settled:
      'b: c f: h p q t: u B: F: T: U help=h format=f image-opts cache=t compress=c backing=b ' +
      'backing-format=B backing-cache=T backing-unsafe=u force-share=U progress=p quiet=q object:',
  },
  resize: {
    old: 'f: h q help=h object: image-opts preallocation: shrink',
    early: 'f: h q help=h quiet=q object: format=f image-opts preallocation: shrink',
    settled: 'f: h q help=h format=f image-opts preallocation: shrink quiet=q object:',
  },
  snapshot: {
    old: 'a: c: d: h l q U help=h object: image-opts force-share=U',
    early:
      'a: c: d: f: h l q U help=h quiet=q object: format=f image-opts force-share=U list=l apply ' +
      'create delete',
    settled:
      'a: c: d: f: h l q U help=h format=f image-opts list=l apply=a create=c delete=d ' +
      'force-share=U quiet=q object:',
  },
};

/** Options of `info` that came after the others got their names. */
const LIMITS: ReadonlySet<string> = new Set(['t:', 'cache=t', 'limits']);

/** The options of a command, which have to be in the table. */
export function grammarOf(
  command: string,
  { namedOptions, settledOptions, limits }: Behaviour,
): Omit<Grammar, 'stopAtOperand'> {
  const form = settledOptions ? 'settled' : namedOptions ? 'early' : 'old';
  const short: Record<string, boolean> = {};
  const long: Record<string, boolean | string> = {};
  for (const option of OPTIONS[command]![form].split(' ')) {
    if (command === 'info' && !limits && LIMITS.has(option)) continue;
    const [name, stands] = option.split('=');
    const plain = name!.replace(':', '');
    if (stands !== undefined) long[plain] = stands;
    else (plain.length === 1 ? short : long)[plain] = name !== plain;
  }
  return { short, long };
}
