import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import * as ts from "typescript";

const ROOT = join(__dirname, "..");
const ENTRY = join(ROOT, "src", "index.ts");
const CONFIG = join(ROOT, "app", "config.ts");

const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(join(ROOT, "tsconfig.json"), (file) => readFileSync(file, "utf8")).config,
  ts.sys,
  ROOT,
);
const program = ts.createProgram([ENTRY, CONFIG], options);
const typeChecker = program.getTypeChecker();

/** The README with its tables of the app's keys made anew. */
export function readmeWithKeys(readme: string): string {
  const reference = new Reference(typeChecker);
  const config = program.getSourceFile(CONFIG)!;
  const keys = [
    ...reference.keys(config, "Config"),
    "`runners` is a list of objects with these keys:",
    "",
    ...reference.keys(config, "RunnerConfig"),
    "`warm` is a number, or an object with these keys; all times are in UTC:",
    "",
    ...reference.keys(config, "WarmConfig"),
  ].join("\n");
  return readme.replace(
    /(<!-- keys: .*? -->\n)[^]*?(<!-- end of keys -->)/,
    (_, begin: string, end: string) => `${begin}\n${keys}${end}`,
  );
}

/** The API reference: every export of the package, in the order in which the package lists them. */
export function apiReference(): string {
  const reference = new Reference(typeChecker);
  const entry = program.getSourceFile(ENTRY)!;
  return [
    "# API reference",
    "",
    "<!-- Made from the sources by `npm run api`; a test compares it. -->",
    "",
    ...reference.of(entry),
  ].join("\n");
}

class Reference {
  constructor(private readonly checker: ts.TypeChecker) {}

  /** Everything that a file exports. */
  of(file: ts.SourceFile): string[] {
    const module = this.checker.getSymbolAtLocation(file)!;
    return this.checker
      .getExportsOfModule(module)
      .map((symbol) =>
        symbol.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol,
      )
      .flatMap((symbol) => this.describe(symbol));
  }

  /** A table of what a configuration's interface holds. */
  keys(file: ts.SourceFile, name: string): string[] {
    const declaration = file.statements
      .filter(ts.isInterfaceDeclaration)
      .find((candidate) => candidate.name.text === name)!;
    const rows = this.checker
      .getTypeAtLocation(declaration)
      .getProperties()
      .map((property) => [
        `\`${property.name}\``,
        valueOf(this.typeOf(property)),
        (tag(property, "default") ?? "").replace(/"/g, ""),
        this.text(property),
      ]);
    return table(["key", "value", "default", "meaning"], rows);
  }

  private describe(symbol: ts.Symbol): string[] {
    const declaration = symbol.declarations?.[0];
    if (declaration === undefined) {
      return [];
    }
    const source = relative(ROOT, declaration.getSourceFile().fileName);
    const head = [`## ${symbol.name}`, "", `[${source}](${source})`, "", this.text(symbol), ""];
    if (ts.isInterfaceDeclaration(declaration)) {
      return [...head, ...this.properties(declaration)];
    }
    if (ts.isClassDeclaration(declaration)) {
      return [...head, ...this.members(declaration)];
    }
    return [...head, "```ts", shape(declaration), "```", ""];
  }

  private properties(declaration: ts.InterfaceDeclaration): string[] {
    const type = this.checker.getTypeAtLocation(declaration);
    const rows = type.getProperties().map((property) => {
      const optional = property.flags & ts.SymbolFlags.Optional;
      return [
        `\`${property.name}\``,
        `\`${this.typeOf(property)}\``,
        optional ? (tag(property, "default") ?? "") : "**required**",
        this.text(property),
      ];
    });
    return rows.length === 0 ? [] : table(["property", "type", "default", "meaning"], rows);
  }

  private members(declaration: ts.ClassDeclaration): string[] {
    const example = tag(this.checker.getSymbolAtLocation(declaration.name!)!, "example");
    const rows: string[][] = [];
    for (const member of declaration.members) {
      const isPrivate =
        ts.getCombinedModifierFlags(member) & ts.ModifierFlags.NonPublicAccessibilityModifier;
      if (isPrivate || member.name === undefined) {
        continue;
      }
      const property = this.checker.getSymbolAtLocation(member.name)!;
      const isStatic = ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static;
      const name = `${isStatic ? `${declaration.name!.text}.` : ""}${property.name}`;
      rows.push([`\`${name}\``, `\`${this.typeOf(property)}\``, this.text(property)]);
    }
    return [
      ...(example === undefined ? [] : ["```ts", example, "```", ""]),
      ...(rows.length === 0 ? [] : table(["member", "type", "meaning"], rows)),
    ];
  }

  private typeOf(symbol: ts.Symbol): string {
    const type = this.checker.getNonNullableType(
      this.checker.getTypeOfSymbolAtLocation(symbol, symbol.valueDeclaration!),
    );
    return this.checker.typeToString(
      type,
      undefined,
      ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope,
    );
  }

  private text(symbol: ts.Symbol): string {
    return ts.displayPartsToString(symbol.getDocumentationComment(this.checker)).trim();
  }
}

/** The first line of something that is neither class nor interface. */
function shape(declaration: ts.Declaration): string {
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  const text = statement.getText();
  const body = ts.isFunctionDeclaration(declaration) ? declaration.body : undefined;
  return body === undefined
    ? text
    : text.slice(0, body.getStart() - statement.getStart()).trimEnd() + ";";
}

/** What a person writes for a type. */
function valueOf(type: string): string {
  const words: Record<string, string> = {
    string: "text",
    "string[]": "list of texts",
    number: "number",
    boolean: "true, false",
    "RunnerConfig[]": "list",
    "number | WarmConfig": "number, object",
    "WarmHours[]": "list",
    WarmLinger: "object",
    "Record<string, number>": "object",
  };
  return words[type] ?? type.replace(/"/g, "").replace(/ \| /g, ", ");
}

function tag(symbol: ts.Symbol, name: string): string | undefined {
  const found = symbol.getJsDocTags().find((candidate) => candidate.name === name);
  return found && ts.displayPartsToString(found.text).replace(/^- /, "").trim();
}

function table(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]) =>
    `| ${cells.map((cell) => cell.replace(/\s+/g, " ").replace(/\|/g, "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line), ""];
}

if (require.main === module) {
  writeFileSync(join(ROOT, "API.md"), apiReference());
  const readme = join(ROOT, "README.md");
  writeFileSync(readme, readmeWithKeys(readFileSync(readme, "utf8")));
}
