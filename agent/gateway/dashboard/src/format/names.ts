/** Names of models. */

/** The name for a model from its file's, as `api::models::name_from_file` has it. */
export function nameFromFile(file: string): string {
  const name = file.split("/").pop() ?? "";
  return name
    .replace(/\.gguf$/, "")
    .replace(/-\d{5}-of-\d{5}$/, "")
    .toLowerCase();
}

/** Whether a file is one of several that are a model only together. */
export function isPart(file: string): boolean {
  return /-\d{5}-of-\d{5}\.gguf$/i.test(file);
}

/** What a model may be called: letters, digits, `.`, `_` and `-`, the first a letter or a digit. */
export const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
