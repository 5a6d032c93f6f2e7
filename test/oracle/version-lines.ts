/** Command lines in which versions of qemu-img differ, and the images that they are about. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { copyCompanions, copyFixture } from '../support/fixture.js';

const FIXTURES = [
  'five-snapshots',
  'empty-disk',
  'vm-state',
  'no-snapshots',
  'compressed-zlib',
  'compressed-zstd',
  'extended-l2',
  'backing-chain',
  'backing-missing',
  'bitmaps',
  'data-file',
  'luks',
  'refcount-1',
  'version-2',
  'dirty',
  'ids-not-numeric',
] as const;

/** Puts the images into a folder, each under a short name. */
export function makeVersionFiles(folder: string): void {
  for (const name of FIXTURES) {
    copyFixture(name, folder);
    copyCompanions(name, folder);
  }
  writeFileSync(path.join(folder, 'odd'), 'a'.repeat(1000));
  writeFileSync(path.join(folder, 'kept.data'), 'k'.repeat(65536));
}

const of = (line: string): string[] => line.split(' ').filter((word) => word !== '');

const USAGE = [
  'amend',
  'bitmap',
  'check',
  'commit',
  'compare',
  'convert',
  'create',
  'info',
  'map',
  'measure',
  'rebase',
  'resize',
  'snapshot',
].flatMap((command) => [
  command,
  `${command} --bogus`,
  `${command} --bogus=3 odd`,
  `${command} -Z`,
  `${command} -Z odd odd`,
  `${command} --object`,
  `${command} --object=bogus`,
  `${command} --=x`,
  `${command} --o`,
  `${command} --o=x odd`,
  `${command} --q odd odd`,
  `${command} --image-opts=x odd`,
  `${command} -f`,
  `${command} --format`,
  `${command} --format bogus odd odd`,
  `${command} --f raw odd odd`,
]);

const LINES = `
amend -o help five-snapshots.qcow2
amend --options=lazy_refcounts=on five-snapshots.qcow2
amend -o lazy_refcounts=bogus five-snapshots.qcow2
amend -o bogus=1 five-snapshots.qcow2
amend five-snapshots.qcow2
amend -o compat=bogus five-snapshots.qcow2
amend --cache bogus -o compat=1.1 version-2.qcow2
bitmap --add five-snapshots.qcow2 new
bitmap --add --granularity 16k five-snapshots.qcow2 new
bitmap --add five-snapshots.qcow2
bitmap --remove bitmaps.qcow2 nothing
bitmap --remove-all bitmaps.qcow2
bitmap --merge nothing bitmaps.qcow2 new
bitmap five-snapshots.qcow2 new
commit --base nothing backing-chain.qcow2
commit -r bogus backing-chain.qcow2
commit --cache=bogus backing-chain.qcow2
commit five-snapshots.qcow2
commit backing-missing.qcow2
commit odd
rebase backing-chain.qcow2
rebase -u backing-chain.qcow2
rebase --backing nothing --backing-format qcow2 backing-chain.qcow2
rebase -b nothing -B qcow2 backing-chain.qcow2
rebase -b nothing -F qcow2 backing-chain.qcow2
rebase --backing-unsafe -b nothing -F qcow2 backing-chain.qcow2
rebase --backing= no-snapshots.qcow2
rebase -b odd no-snapshots.qcow2
rebase -b five-snapshots.qcow2 -F bogus no-snapshots.qcow2
rebase -b five-snapshots.qcow2 -F qcow2 no-snapshots.qcow2
snapshot -l five-snapshots.qcow2
snapshot -l vm-state.qcow2
snapshot -l ids-not-numeric.qcow2
snapshot -l empty-disk.qcow2
snapshot -l -U five-snapshots.qcow2
snapshot five-snapshots.qcow2
snapshot empty-disk.qcow2
snapshot -q five-snapshots.qcow2
snapshot -U five-snapshots.qcow2
snapshot -U -f qcow2 empty-disk.qcow2
snapshot odd
snapshot -f raw odd
snapshot -f raw -l odd
snapshot dirty.qcow2
snapshot data-file.qcow2
snapshot nothing
snapshot --list five-snapshots.qcow2
snapshot --list --list five-snapshots.qcow2
snapshot --list=1 five-snapshots.qcow2
snapshot -f qcow2 -l five-snapshots.qcow2
snapshot --format=qcow2 five-snapshots.qcow2
snapshot --format qcow2 --image-opts driver=qcow2,file.filename=five-snapshots.qcow2
snapshot --image-opts driver=qcow2,file.filename=five-snapshots.qcow2
snapshot --delete=nope five-snapshots.qcow2
snapshot --apply=nope five-snapshots.qcow2
snapshot --apply
snapshot --create
snapshot --delete
snapshot --d nope five-snapshots.qcow2
snapshot --a nope five-snapshots.qcow2
snapshot -c x -U five-snapshots.qcow2
snapshot -c x refcount-1.qcow2
snapshot -c x data-file.qcow2
snapshot -c x odd
snapshot -a x odd
snapshot -d x odd
snapshot -a x bitmaps.qcow2
snapshot -a nope five-snapshots.qcow2
snapshot -d nope five-snapshots.qcow2
snapshot -l -c x five-snapshots.qcow2
snapshot -lZ five-snapshots.qcow2
snapshot -lc
info five-snapshots.qcow2
info --output=json five-snapshots.qcow2
info vm-state.qcow2
info --output=json vm-state.qcow2
info --output=json ids-not-numeric.qcow2
info backing-chain.qcow2
info --output=json backing-chain.qcow2
info --backing-chain backing-chain.qcow2
info --backing-chain --output=json backing-chain.qcow2
info --backing-chain -U backing-chain.qcow2
info --backing-chain backing-missing.qcow2
info --backing-chain --output=json backing-missing.qcow2
info --backing-chain odd
info luks.qcow2
info --output=json luks.qcow2
info data-file.qcow2
info --output=json data-file.qcow2
info bitmaps.qcow2
info --output=json bitmaps.qcow2
info extended-l2.qcow2
info compressed-zstd.qcow2
info version-2.qcow2
info --output=json version-2.qcow2
info dirty.qcow2
info odd
info --output=json odd
info -f raw five-snapshots.qcow2
info --format raw --output json five-snapshots.qcow2
info --limits five-snapshots.qcow2
info --limits --output=json five-snapshots.qcow2
info --limits --output=json extended-l2.qcow2
info --limits --output=json luks.qcow2
info --limits --output=json odd
info --limits odd
info --limits data-file.qcow2
info --limits --backing-chain backing-chain.qcow2
info --limits -t unsafe odd
info -t none --output=json five-snapshots.qcow2
info -t bogus five-snapshots.qcow2
info --cache=writeback five-snapshots.qcow2
info --cache bogus
info --output=xml five-snapshots.qcow2
info --output=xml
info --output
info --outp=json five-snapshots.qcow2
info five-snapshots.qcow2 odd
info -f qcow2 --image-opts driver=qcow2,file.filename=five-snapshots.qcow2
info -c five-snapshots.qcow2
check five-snapshots.qcow2
check --output=json compressed-zlib.qcow2
check --output=xml five-snapshots.qcow2
check --output=json --image-opts driver=qcow2,file.filename=five-snapshots.qcow2
check --output=json file:five-snapshots.qcow2
check --cache none five-snapshots.qcow2
check --cache=bogus five-snapshots.qcow2
check -T bogus five-snapshots.qcow2
check --quiet five-snapshots.qcow2
check -r bogus five-snapshots.qcow2
check --repair bogus five-snapshots.qcow2
check --repair=bogus
check odd
map five-snapshots.qcow2
map --output=json five-snapshots.qcow2
map --output=json compressed-zlib.qcow2
map --output=json compressed-zstd.qcow2
map compressed-zlib.qcow2
map --output=json extended-l2.qcow2
map --output=json backing-chain.qcow2
map --output=json odd
map --output=json luks.qcow2
map --output=json data-file.qcow2
map --output=xml odd
map --start-offset=bogus odd
map --start-offset bogus
map -s -1 odd
map -s 0x10k odd
map -s 99999999999999999999 odd
map --max-length=-1 odd
map --max-length=-1k odd
map -l 0 odd
map -l 0x200 odd
map --output=json -s 512 -l 1k odd
compare five-snapshots.qcow2 compressed-zlib.qcow2
compare --strict five-snapshots.qcow2 compressed-zlib.qcow2
compare -s odd odd
compare --a-format raw --b-format raw odd odd
compare --left-format raw --right-format raw odd odd
compare --a-format qcow2 odd odd
compare --progress odd odd
compare --quiet odd five-snapshots.qcow2
compare --cache bogus odd odd
compare odd
compare odd odd odd
measure -s 1G -O qcow2
measure --size 1G -O qcow2
measure --size=1G --target-format qcow2 --output=json
measure --size 1G --options cluster_size=4k -O qcow2
measure --size 1G -o cluster_size=4k --target-format=qcow2
measure --snapshot nope -O raw five-snapshots.qcow2
measure -l nope five-snapshots.qcow2
measure --size bogus
measure --size=-1
measure --size 0x1k
measure --size 99999999999999999999
measure
measure odd odd
measure --size 1G odd
measure --output=xml --size 1
measure --source-format raw odd
measure --image-opts --size 1
resize empty-disk.qcow2
resize empty-disk.qcow2 1M 2M
resize empty-disk.qcow2 bogus
resize empty-disk.qcow2 -1M
resize empty-disk.qcow2 -99999G --shrink
resize empty-disk.qcow2 2M --shrink
resize --shrink empty-disk.qcow2 2M
resize --quiet --shrink empty-disk.qcow2 2M
resize --format qcow2 empty-disk.qcow2 200M
resize --preallocation bogus empty-disk.qcow2 200M
resize --preallocation=metadata empty-disk.qcow2 200M
resize -- empty-disk.qcow2 +1M
resize -5 empty-disk.qcow2
resize empty-disk.qcow2 0x100000k
create -f qcow2 out bogus
create -f qcow2 out 0x1k
create -f qcow2 out 1.5
create -f qcow2 out -1
create -f qcow2 out -- -1
create -f qcow2 out 99999999999999999999
create -f qcow2 out
create -f qcow2 -o help
create -f qcow2 -o help out
create -f raw -o help out
create -o help
create -f qcow2 -o ? out
create --format qcow2 --options cluster_size=4k out 1M
create --format=qcow2 --options=cluster_size=0x1k out 1M
create -f qcow2 -o size=0x1k out
create --quiet -f qcow2 out 1M
create -f qcow2 -b five-snapshots.qcow2 out
create -f qcow2 -b odd out
create -f qcow2 -b five-snapshots.qcow2 -F qcow2 out
create -f qcow2 -b five-snapshots.qcow2 -B qcow2 out
create -f qcow2 --backing five-snapshots.qcow2 --backing-format qcow2 out
create -f qcow2 -u -b nothing out 1M
create -f qcow2 --backing-unsafe -b nothing -F qcow2 out 1M
create -f qcow2 -B qcow2 out 1M
create -f qcow2 -b nothing -F qcow2 out
create -f qcow2 -o data_file=kept.data,data_file_raw=on,keep_data_file=on out 64k
create -f qcow2 -o data_file=kept.data,data_file_raw=on,keep_data_file=on out 128k
create -f qcow2 -o data_file=kept.data,keep_data_file=on out 64k
create -f qcow2 -o data_file=kept.data,keep_data_file=on,preallocation=metadata out 64k
create -f qcow2 -o data_file=kept.data,keep_data_file=on,preallocation=falloc out 64k
create -f qcow2 -o keep_data_file=on out 64k
create -f qcow2 -o keep_data_file=off out 64k
create -f qcow2 -o keep_data_file=maybe out 64k
create -f qcow2 -o data_file=nothing,data_file_raw=on,keep_data_file=on out 64k
create -f raw -o keep_data_file=on out 64k
create -q -f qcow2 -o size=.5 out
create -q -f qcow2 -o size=.5k out
create -q -f qcow2 -o size=. out
create -q -f qcow2 -o size=1. out
create -q -f qcow2 -o size=1.k out
create -q -f qcow2 -o size=-0 out
create -q -f qcow2 -o size=-1 out
create -q -f qcow2 -o size=-1k out
create -q -f qcow2 -o size=-0.5 out
create -q -f qcow2 -o size=+.5k out
create -q -f qcow2 -o size=+5 out
create -q -f qcow2 -o size=1e3 out
create -q -f qcow2 -o size=0x out
create -q -f qcow2 -o size=0X10 out
create -q -f qcow2 -o size=1.0B out
create -q -f qcow2 -o size=0.5B out
create -q -f qcow2 -o size=0.0 out
create -q -f qcow2 -o size=1.9999999999999999999k out
create -q -f qcow2 -o size=5kk out
create -q -f qcow2 -o size=010 out
create -q -f qcow2 -o size=.0 out
create -q -f qcow2 -o size=-.5k out
create -q -f qcow2 -o size=-0x5 out
create -q -f qcow2 -o size=0x.8k out
create -q -f qcow2 -o size=8E out
create -q -f qcow2 -o size=15.999999999999999999999E out
create -q -f qcow2 -o size=16E out
create -q -f qcow2 -o size=inf out
resize empty-disk.qcow2 .5G
resize empty-disk.qcow2 0x100000k
resize empty-disk.qcow2 +.5k
resize empty-disk.qcow2 -.5k
resize empty-disk.qcow2 1.9999999999999999999G
measure --size .5k
measure --size 1.
measure --size 0x10
map -l .5k odd
map -l . odd
map -l 0x odd
create out 1M
create -f qcow2 out 1M extra
convert --snapshot nope -O raw five-snapshots.qcow2 out
convert -l nope -O raw five-snapshots.qcow2 out
convert -b five-snapshots.qcow2 -F qcow2 -O qcow2 no-snapshots.qcow2 out
convert -B five-snapshots.qcow2 -F qcow2 -O qcow2 no-snapshots.qcow2 out
convert --backing five-snapshots.qcow2 --backing-format qcow2 -O qcow2 no-snapshots.qcow2 out
convert --target-format raw --source-format qcow2 five-snapshots.qcow2 out
convert --output-format raw five-snapshots.qcow2 out
convert --compress -O qcow2 five-snapshots.qcow2 out
convert --no-create -O raw odd five-snapshots.qcow2
convert --options help -O qcow2 odd out
convert --target-format-options help -O qcow2 odd out
convert -O qcow2 -o help odd out
convert -S bogus -O raw odd out
convert -S 1 -O raw odd out
convert -S 0x1k odd out
convert -S -1 odd out
convert --sparse-size 4k -O raw odd out
convert -m 99 odd out
convert -m x odd out
convert -m 0 odd out
convert --parallel 4 odd out
convert -r bogus odd out
convert -r -1 odd out
convert --rate-limit 1G odd out
convert --rate 1G odd out
convert --progress odd out
convert --quiet odd out
convert --salvage odd out
convert --oob-writes odd out
convert -W -C odd out
convert -C -c -O qcow2 odd out
convert --source-cache bogus odd out
convert --target-cache bogus odd out
convert --output-cache bogus odd out
convert --skip-broken-bitmaps odd out
convert odd
convert
convert --target-is-zero odd out
convert --image-opts -f raw driver=raw,file.filename=odd out
convert --source-image-opts driver=raw,file.filename=odd out
-T
--trace
-Z
--bogus
--version=1
info`;

/** All of them, each once. */
export const VERSION_LINES: readonly (readonly string[])[] = [
  [],
  ...new Set([...USAGE, ...LINES.split('\n').filter((line) => line !== '')]),
].map((line) => (typeof line === 'string' ? of(line) : line));
