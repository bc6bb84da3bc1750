/** The help text. */

import { devices } from "../backend/devices.ts";
import { bundledNetwork } from "../models/bundled.ts";
import { learnUsage } from "./args_learn.ts";
import { weightsUsage } from "./args_weights.ts";

/** What --help prints. */
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
                         safetensors (default: the most accurate model that was
                         pulled. If there is none, squeezenet of 0.7 MB is
                         downloaded once, and if that fails, the bundled
                         ${bundledNetwork} is used. For summary always ${bundledNetwork})
      --offline          never download a model
      --base FILE        the network that weights of learn --head-only belong to
                         (default: looked for among the pulled ones)
      --classes FILE     names of the classes, one per line (default: the names
                         in the weights)
      --preprocessing J  JSON that replaces parts of the model's preprocessing,
                         such as '{"resize":256,"crop":227}' for weights that do
                         not say how images are prepared
      --random           untrained weights, for testing
      --seed N           seed for --random, as for torch.manual_seed()
                         (default: a different one each time)
      --precision P      precision of weights: f32; f16, half the memory, on a
                         GPU only; or int8, a quarter of the memory and faster
                         (default: int8 if stored that way, otherwise f32)
      --backend NAME     ${devices.join(", ")} (default auto: a GPU if available)

Classify options:
  -k, --top-k N          number of classes to print for each image (default 5)
      --files-from FILE  also classify the inputs listed in FILE, one per line;
                         - reads the list from standard input
      --shard N/M        classify only part N of M: every M-th image, starting
                         with the N-th. M jobs with the same inputs share the
                         work
      --json             print one JSON document
      --jsonl            print one line of JSON per image, as soon as it is done
      --resume FILE      append the lines to FILE instead; skip images that are
                         already in it, and retry those that failed
      --show             also draw each photo and its heat map in the terminal
      --show-as FORMAT   kitty, sixel, truecolor or 256 (default: the best one
                         that the terminal is known to support)
      --features         print what the network's last layer takes instead, as
                         one line of JSON per image
  -o, --output FILE      write the features to FILE.npy for NumPy, and the
                         images' names to FILE.txt

Explain options (also --show, --show-as and -k):
  -o, --output FILE      write the photo with the heat map, a PNG
      --html FILE        write a report of one page: heat maps of three classes,
                         activations, filters, and the time of each layer
      --class C          the class to explain, a name or an index (default: the
                         most probable one)
      --method NAME      grad-cam shows the area (default); saliency shows the
                         pixels, and takes longer

${learnUsage}

Evaluate options (folders are named after classes, or their WordNet ids):
      --json             print one JSON document
      --html FILE        write a page with the worst mistakes

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
  -v, --verbose          print timings
      --no-color         print without colours, like NO_COLOR=1
  -h, --help             print this help
      --version          print the version

Images are JPEG, PNG, WebP, GIF or BMP files, or data URLs; - reads one from
standard input. A folder stands for all images in it and its subfolders, also
linked ones. Patterns, in quotes, support *, ?, [abc], {a,b} and ** (any
subfolders). Names that start with a dash go after --, or are written ./-name.

Results go to standard output, everything else to standard error. On SIGINT or
SIGTERM, serve finishes accepted requests and exits.

Models are cached in the folder PEMBROKE_CACHE, by default in the system's cache
folder.

Exit status: 0 on success, 1 if an input failed, 2 for wrong usage or a missing
permission.`;
