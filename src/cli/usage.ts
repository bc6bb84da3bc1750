/** The help text. */

import { devices } from "../backend/devices.ts";
import { bundledNetwork } from "../models/bundled.ts";
import { learnUsage } from "./args_learn.ts";
import { weightsUsage } from "./args_weights.ts";
import { commandLine } from "./command_line.ts";
import { modelCommands } from "./options.ts";

/** What --help prints without a command, in a clone of the repository. */
export const usage = `\
Classify photos with a convolutional network, on WebAssembly or a GPU.

Usage: deno run -A cli.ts [classify] [options] <image|folder|pattern|URL|->...
       deno run -A cli.ts explain -o FILE.png [options] <image>
       deno run -A cli.ts learn [options] <folder> -o <file>
       deno run -A cli.ts evaluate [options] <folder>
       deno run -A cli.ts serve [options]
       deno run -A cli.ts summary [options]
       deno run -A cli.ts pull [options] <model>
       deno run -A cli.ts models [--json]
       deno run -A cli.ts rm <model>
       deno run -A cli.ts convert [options] <input> <output>
       deno run -A cli.ts quantize [options] <input> -o <output>

Commands:
  classify               print the most probable classes of each image (default)
  explain                show why the model chose a class, as a heat map
  learn                  make a model for your own classes from photos
  evaluate               measure a model's accuracy on labelled photos
  serve                  classify photos sent with POST to
                         http://127.0.0.1:8000/; see /healthz and /metrics
  summary                print a model's layers, parameters and cost
  pull                   download a model into the cache
  models                 list bundled, cached and downloadable models
  rm                     delete a model from the cache
  convert                convert weights to another format or precision
  quantize               convert weights to int8, with the help of sample photos

Model options (classify, evaluate, explain, serve, summary):
  -m, --model NAME       a network, such as resnet18 or alexnet-tiny, or a name
                         that pull takes (default: as the weights say, or
                         alexnet with --random)
      --weights FILE     weights to use, a file or a URL: .pth, .net, ONNX or
                         safetensors. Default: the most accurate model that you
                         pulled. If there is none, the command downloads
                         squeezenet once (0.7 MB). If that fails, it uses the
                         bundled ${bundledNetwork}. For summary, the default is
                         always ${bundledNetwork}
      --offline          never download the default model
      --base FILE        the network that a file of learn --head-only was
                         trained on (default: found among the pulled models)
      --preprocessing J  JSON that replaces parts of the model's preprocessing,
                         such as '{"resize":256,"crop":227}', for weights that
                         do not say how to prepare images
      --random           untrained weights, for testing

Model options that summary does not have:
      --classes FILE     names of the classes, one per line (default: the names
                         in the weights)
      --seed N           seed for --random, as for torch.manual_seed()
                         (default: a different one each time)
      --precision P      precision of weights in memory: f32, f16 (half the
                         memory, only on a GPU) or int8 (a quarter, and faster).
                         Default: int8 if stored that way, otherwise f32
      --backend NAME     ${devices.join(", ")} (default auto: a GPU if available)

Classify options:
  -k, --top-k N          number of classes to print for each image (default 5)
      --files-from FILE  also classify the inputs listed in FILE, one per line;
                         - reads the list from standard input
      --shard N/M        share the inputs among M jobs: classify only part N,
                         every M-th image from the N-th on
      --json             print one JSON document
      --jsonl            print one line of JSON per image, as soon as it is done
      --resume FILE      append the lines of --jsonl to FILE; skip images that
                         have a result in it, and retry those that failed
      --show             also draw each photo and its heat map in the terminal
                         (takes --method, as explain does)
      --show-as FORMAT   kitty, sixel, truecolor or 256 (default: the best one
                         that the terminal is known to support)
      --features         print the features of each image instead of classes:
                         what the last layer takes, as one line of JSON
  -o, --output FILE.npy  write the features to FILE.npy for NumPy, and the names
                         of the images to FILE.txt

Explain options (also -k, --show and --show-as):
  -o, --output FILE      write the photo with the heat map as a PNG
      --html FILE        write a report as an HTML page: heat maps of three
                         classes, activations, filters, and the time of each
                         layer
      --class C          the class to explain, by name or index (default: the
                         most probable one)
      --method NAME      grad-cam shows the area (default); saliency shows the
                         pixels, and takes longer

${learnUsage}

Evaluate options (name the subfolders after classes, or their WordNet ids):
      --json             print one JSON document; --jsonl prints it on one line
      --html FILE        write an HTML page with the worst mistakes

Summary options:
      --json             print one line of JSON, as --jsonl does

Serve options:
      --host NAME        address to listen on (default 127.0.0.1; 0.0.0.0 allows
                         other machines)
      --port N           port to listen on (default 8000; 0 for any free port)
      --max-bytes N      largest photo in bytes, or with a unit: 500KB, 20MB
                         (default 10MiB)
      --max-pixels N     largest photo in pixels (default 64000000)
      --memory N         memory for all photos at once; others wait (default
                         512MB)
      --cors ORIGIN      let pages of this origin post photos, such as
                         https://example.org; * for all

${weightsUsage}

General options:
  -q, --quiet            print only results and errors
  -v, --verbose          print timings (commands that run a model, and learn)
      --no-color         print without colours, like NO_COLOR=1
  -h, --help             print this help; after a command, only what it takes
      --version          print the version

Images are JPEG, PNG, WebP, GIF or BMP files, or data URLs. - reads one from
standard input. A folder stands for all images in it and its subfolders, also
linked ones. Write patterns in quotes; they support *, ?, [abc], {a,b} and **
(any subfolders). Write names that start with a dash after --, or as ./-name.

Results go to standard output, everything else to standard error. On SIGINT or
SIGTERM, serve finishes accepted requests and exits.

The environment variable PEMBROKE_CACHE names the folder of pulled models
(default: pembroke in the system's cache folder).

Exit status: 0 on success, 1 if an input failed, 2 for wrong usage or a missing
permission.`;

/** Commands that take no photos. */
const withoutPhotos = ["convert", "models", "pull", "rm", "summary"];

/**
 * What --help prints for one command, if there is one of this name.
 *
 * @param start How the command was started.
 */
export function usageOf(command = "", start: string = commandLine()): string {
  return sectionsOf(command).replaceAll("deno run -A cli.ts", () => start);
}

function sectionsOf(command: string): string {
  const [, synopses, list, ...sections] = usage.split("\n\n");
  const synopsis = synopses.split("\n").find((line) => line.includes(`cli.ts ${command} `)) ??
    synopses.split("\n", 1)[0];
  const [, first, rest] = RegExp(`^  ${RegExp.escape(command)}  +(.)(.+(\n {25}.+)*)`, "m")
    .exec(list) ?? [];
  if (!command || !first) return usage;
  const isModelCommand = (modelCommands as readonly string[]).includes(command);
  const fits = (section: string) => {
    if (section.startsWith("Images")) return !withoutPhotos.includes(command);
    if (section.startsWith("Model options that summary") && command === "summary") return false;
    const [, of] = /^(\w+) options\b/.exec(section) ?? [];
    if (of === undefined || of === "General") return true;
    return of === "Model" ? isModelCommand : of.toLowerCase() === command;
  };
  return [
    `${first.toUpperCase()}${rest.replace(/\n +/g, "\n")}.`,
    `Usage: ${synopsis.slice(7)}`,
    ...sections.filter(fits),
  ].join("\n\n");
}
