/** Texts of --help and --version. */
import { VERSION } from '../version.js';

export const VERSION_TEXT = `qsnap-img version ${VERSION} (takes the arguments of qemu-img 7.2 for: check, compare, convert, create, info, map, measure, resize, snapshot)`;

export const HELP_TEXT = `${VERSION_TEXT}
usage: qsnap-img [standard options] command [command options]
Checks, copies and edits qcow2 images and their snapshots, with qemu-img's arguments, output and exit codes

    '-h', '--help'       display this help and exit
    '-V', '--version'    output version information and exit
    '-T', '--trace'      accepted and ignored

Command syntax:
  check [--object objectdef] [--image-opts] [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-T src_cache] [-U] filename
  compare [--object objectdef] [--image-opts] [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] [-s] [-U] filename1 filename2
  convert [--object objectdef] [--image-opts] [--target-image-opts] [--target-is-zero] [-U] [-C] [-c] [-p] [-q] [-n] [-f fmt] [-t cache] [-T src_cache] [-O output_fmt] [-B backing_file [-F backing_fmt]] [-o options] [-l snapshot_param] [-S sparse_size] [-r rate_limit] [-m num_coroutines] [-W] [--salvage] filename [filename2 [...]] output_filename
  create [--object objectdef] [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]
  info [--object objectdef] [--image-opts] [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename
  map [--object objectdef] [--image-opts] [-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] filename
  measure [--output=ofmt] [-O output_fmt] [-o options] [--size N | [--object objectdef] [--image-opts] [-f fmt] [-l snapshot_param] filename]
  resize [--object objectdef] [--image-opts] [-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size
  snapshot [--object objectdef] [--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename

Command parameters:
  'filename' is a qcow2 image, or a raw disk for all but check and snapshot; with --image-opts it is
    driver=qcow2,file.filename=PATH
  'objectdef' is a secret: commands that read the disk decrypt with it, others accept it
  'fmt' is qcow2 or raw. It is guessed in most cases
  'ofmt' is human (default) or json
  '-U' reads an image although another process may be writing to it
  '-q' prints nothing but errors and findings
  '--backing-chain' works for images without a backing file. compare, convert, map
    and measure open backing files, other commands never do

Parameters to check subcommand:
  '-r leaks' repairs leaks and refcounts that are too low, '-r all' all that loses
       no data; no snapshot is ever dropped
  'src_cache' is accepted and changes nothing

Parameters to convert subcommand:
  '-c' compresses clusters (qcow2 only); '-S' sets how long zeros must be to be left out
  '-l' copies a snapshot instead of the active disk, at the size that it had
  '-B' names a backing file: what it holds is not copied
  '-n' writes to a raw disk, or to a qcow2 image that is empty
  '-p' shows progress; '-C', '-W', '-m', '-r', '-t' and '-T' change nothing about
       the result

Parameters to compare subcommand:
  '-s' is strict: sizes and allocation must be the same, too

Parameters to resize subcommand:
  'size' is in bytes, or with one of the suffixes k, M, G, T, P and E
  '--shrink' allows a smaller size; what lies past the new end is lost
  'prealloc' is off (default), metadata, falloc or full

Parameters to snapshot subcommand:
  'snapshot' is the name of the snapshot to create, apply or delete
  '-a' applies a snapshot (the disk goes back to the saved state); an ID is
       taken before a name
  '-c' creates a snapshot
  '-d' deletes a snapshot, by its name alone
  '-l' lists all snapshots in the given image

Supported formats: qcow2 raw

What differs from qemu-img is listed in docs/parity.md. 'qsnap' does the same
with more care for people, and more.

Examples:
  qsnap-img snapshot -c before-upgrade disk.qcow2
  qsnap-img snapshot -l disk.qcow2
  qsnap-img info --output=json disk.qcow2
  qsnap-img check disk.qcow2
  qsnap-img convert -O raw -l before-upgrade disk.qcow2 disk.raw`;
