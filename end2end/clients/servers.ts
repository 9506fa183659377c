// nginx and Caddy, as their users configure them.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Child, freePort } from "./child.ts";

const FOLDERS = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];
const find = (name: string) => FOLDERS.map((folder) => `${folder}/${name}`).find(existsSync);

/** Where they are installed; CI has them. */
export const NGINX = find("nginx");
export const CADDY = find("caddy");

/** An nginx with these blocks inside its `http`. */
export function nginx(port: number, blocks: string): Promise<Child> {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`).join(" ");
  const process = "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}";
  const config = `${process}\nhttp { access_log off; ${temporary}\n${blocks}\n}`;
  return new Child(port, config, NGINX ?? "nginx", (file) => ["-c", file, "-p", file.replace(/config$/, ""), "-e", "stderr"]).answers();
}

/** The README's block of this language, without what only a machine on the internet can have. */
async function readmeBlock(language: string): Promise<string> {
  const readme = await readFile("../README.md", "utf8");
  const [, block] = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "ms").exec(readme) ?? [];
  if (!block) throw new Error(`the README shows no ${language}`);
  return block;
}

/** An nginx before what listens at this address, by the README. */
export async function nginxByTheReadme(behind: string): Promise<Child> {
  const port = await freePort();
  const block = (await readmeBlock("nginx"))
    .replace("listen 443 ssl;", `listen 127.0.0.1:${port};`)
    .replaceAll(/^ *ssl_.*\n/gm, "")
    .replaceAll("127.0.0.1:8080", behind);
  return nginx(port, block);
}

/** A Caddy before what listens at this address, by the README. */
export async function caddyByTheReadme(behind: string): Promise<Child> {
  const port = await freePort();
  const block = (await readmeBlock("caddyfile"))
    .replace("llm.example.com", `http://127.0.0.1:${port}`)
    .replaceAll("127.0.0.1:8080", behind);
  const run = (file: string) => ["run", "--adapter", "caddyfile", "--config", file];
  return new Child(port, `{\n  admin off\n}\n${block}`, CADDY ?? "caddy", run).answers();
}
