/** Texts of --help and --version. */
import { VERSION } from '../version.js';

export const VERSION_TEXT = `qsnap-img version ${VERSION} (takes the arguments of qemu-img 7.2 for: info, snapshot)`;

export const HELP_TEXT = `${VERSION_TEXT}
usage: qsnap-img [standard options] command [command options]
Internal snapshots of qcow2 images, with qemu-img's arguments, output and exit codes

    '-h', '--help'       display this help and exit
    '-V', '--version'    output version information and exit
    '-T', '--trace'      accepted and ignored

Command syntax:
  create [--object objectdef] [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]
  info [--object objectdef] [--image-opts] [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename
  measure [--output=ofmt] [-O output_fmt] [-o options] [--size N | [--object objectdef] [--image-opts] [-f fmt] [-l snapshot_param] filename]
  snapshot [--object objectdef] [--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename

Command parameters:
  'filename' is a qcow2 image, or a raw disk for info; with --image-opts it is
    driver=qcow2,file.filename=PATH
  'objectdef' is a secret, which is accepted and not needed: nothing is decrypted
  'fmt' is qcow2 or raw. It is guessed in most cases
  'ofmt' is human (default) or json
  '-U' reads an image although another process may be writing to it
  '-q' is accepted: nothing but errors is printed anyway
  '--backing-chain' works for images without a backing file: no other file is
    ever opened

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
  qsnap-img info --output=json disk.qcow2`;
