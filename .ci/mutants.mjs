// Puts each mutant of app/domain/tests/sim/mutants.txt into a copy of the workspace, alone, and runs the walks of leases on it. One that they do not
// find, or whose place is not found, fails.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const list = "app/domain/tests/sim/mutants.txt";
const copy = mkdtempSync(join(tmpdir(), "farebox-mutants-"));
const skipped = ["target", "node_modules", ".git"];
cpSync(".", copy, { recursive: true, filter: (path) => !skipped.includes(basename(path)) });

const walk = () => {
  const args = ["test", "--quiet", "--release", "-p", "domain", "--test", "sim", "leases"];
  const env = { ...process.env, CARGO_TARGET_DIR: join(copy, "target"), FAREBOX_SIM_SEEDS: "4" };
  const run = spawnSync("cargo", args, { cwd: copy, env, encoding: "utf8", timeout: 300_000 });
  const built = !/error(\[E\d+\])?: (?!test failed)/.test(run.stderr);
  const output = run.stdout + run.stderr;
  // A walk that is merely too tame has broken no rule, and one that takes too long has found nothing.
  return { built, passed: run.status === 0, found: output.includes("The shortest list of steps that fails"), output };
};

const failures = [];
try {
  const whole = walk();
  if (!whole.passed) throw new Error(`the walks fail without any mutant:\n${whole.output}`);
  const mutants = readFileSync(list, "utf8").split("\n").filter((line) => line && !line.startsWith("#")).map((line) => line.split("\t"));
  for (const [name, file, from, to] of mutants) {
    const path = join(copy, "app/domain/src", file);
    const text = readFileSync(path, "utf8");
    let verdict;
    if (text.split(from).length !== 2) {
      verdict = `its place is there ${text.split(from).length - 1} times`;
    } else {
      writeFileSync(path, text.replace(from, () => to));
      const { built, found, output } = walk();
      verdict = !built ? `it does not compile:\n${output}` : found ? "found" : "NOT FOUND";
      writeFileSync(path, text);
    }
    if (verdict !== "found") failures.push(name);
    console.log(`${name}: ${verdict}`);
  }
  console.log(`${mutants.length - failures.length} of ${mutants.length} mutants were found`);
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exitCode = failures.length ? 1 : 0;
