// node lexer_in_node.js SCRIPT LINE: loads the JupyterLab extension as JupyterLab would, colours a
// line with its lexer, and prints [is a module, plugins, file endings, [word, style] pairs].
globalThis.window = globalThis;
const [script, line] = process.argv.slice(2);
require(script);

const share = (module) => ({ 1: { get: async () => () => module } });
const container = window._JUPYTERLAB.rasplab;
container.init({
  "@jupyterlab/codemirror": share({ IEditorLanguageRegistry: "languages" }),
  "@jupyterlab/notebook": share({ INotebookTracker: "notebooks" }),
  "@codemirror/language": share({
    LanguageSupport: class {
      constructor(language) {
        this.language = language;
      }
    },
    StreamLanguage: { define: (parser) => parser },
  }),
});

class Stream {
  at = 0;
  sol = () => this.at === 0;
  next = () => line[this.at++];
  eatSpace = () => this.match(/^\s+/) !== null;
  match = (pattern) => {
    const found = line.slice(this.at).match(pattern);
    this.at += found ? found[0].length : 0;
    return found;
  };
}

container.get("./extension").then(async (factory) => {
  const { __esModule, default: plugins } = factory();
  let fileType, language;
  const app = { docRegistry: { addFileType: (added) => (fileType = added) } };
  plugins[0].activate(app, { addLanguage: (added) => (language = added) });
  const parser = (await language.load()).language;
  const stream = new Stream(), state = parser.startState(), words = [];
  while (stream.at < line.length) {
    const start = stream.at, style = parser.token(stream, state);
    if (style) words.push([line.slice(start, stream.at), style]);
  }
  console.log(JSON.stringify([__esModule, plugins.length, fileType.extensions, words]));
});
