// RASP in JupyterLab 4: colours for .rasp files and for the %%rasp cells of Python notebooks.
// Written by hand as the module-federation container that JupyterLab loads; nothing builds it.
(() => {
  const MIME = "text/x-rasp";
  const MAGIC = "%%rasp";
  const words = (text) => new Set(text.split(" "));
  const KEYWORDS = words(
    "and def draw else example examples exit for if in load not off on or quit return selector set show",
  );
  const FORMS = words("aggregate indicator len range round select zip");
  const ATOMS = words("True False");
  const NAMES = words(
    "average chr constant contains count full_s has_focus indices length load_from_location " +
      "mark_first_instance mark_last_instance max min out select_from_first select_from_last " +
      "abs ceil floor largest sign smallest sum where " +
      "select_next_identical selector_width shift sort tokens tokens_asis tokens_bool tokens_float " +
      "tokens_int tokens_str",
  );
  let scope = {};

  // A module that JupyterLab shares, in the one version that it has.
  const shared = async (name) => {
    const versions = Object.values(scope[name] ?? {});
    if (!versions.length) throw new Error(`rasplab: this JupyterLab shares no ${name}`);
    return (await versions[0].get())();
  };

  const wordStyle = (word, state) => {
    const defined = state.afterDef;
    state.afterDef = word === "def";
    if (defined) return "def";
    if (KEYWORDS.has(word)) return "keyword";
    if (ATOMS.has(word)) return "atom";
    return FORMS.has(word) || NAMES.has(word) ? "builtin" : "variable";
  };

  const parser = {
    name: "rasp",
    startState: () => ({ afterDef: false }),
    token: (stream, state) => {
      if (stream.sol() && stream.match(/^%%rasp.*/)) return "meta";
      if (stream.eatSpace()) return null;
      if (stream.match(/^#.*/)) return "comment";
      if (stream.match(/^"[^"]*"?/)) return "string";
      if (stream.match(/^[0-9]+(\.[0-9]+)?/)) return "number";
      if (stream.match(/^(s-op|full[ \t]+seq[ \t]+display)(?![A-Za-z0-9_])/)) return "keyword";
      const word = stream.match(/^[A-Za-z_][A-Za-z0-9_]*/);
      if (word) return wordStyle(word[0], state);
      if (stream.match(/^(==|!=|<=|>=|[-<>+*/%^=])/)) return "operator";
      if (stream.match(/^[()[\]{}]/)) return "bracket";
      stream.next();
      return null;
    },
    languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"'] } },
  };

  const addLanguage = (languages) =>
    languages.addLanguage({
      name: "rasp",
      displayName: "RASP",
      mime: MIME,
      extensions: ["rasp"],
      load: async () => {
        const { LanguageSupport, StreamLanguage } = await shared("@codemirror/language");
        return new LanguageSupport(StreamLanguage.define(parser));
      },
    });

  // Keeps a cell's language: RASP while it begins with the magic, else what the notebook says.
  const followCell = (model) => {
    let other = model.mimeType;
    const update = () => {
      const rasp = model.sharedModel.getSource().startsWith(MAGIC);
      if (model.mimeType !== MIME) other = model.mimeType;
      const wanted = rasp ? MIME : other;
      if (model.mimeType !== wanted) model.mimeType = wanted;
    };
    model.contentChanged.connect(update);
    model.mimeTypeChanged.connect(update);
    update();
  };

  const followNotebook = async (panel) => {
    await panel.context.ready;
    const followed = new WeakSet();
    const followCells = () => {
      for (const cell of panel.content.model?.cells ?? []) {
        if (cell.type !== "code" || followed.has(cell)) continue;
        followed.add(cell);
        followCell(cell);
      }
    };
    panel.content.model.cells.changed.connect(followCells);
    followCells();
  };

  const language = async () => {
    const { IEditorLanguageRegistry } = await shared("@jupyterlab/codemirror");
    return {
      id: "rasplab:language",
      description: "RASP in files and editors.",
      autoStart: true,
      requires: [IEditorLanguageRegistry],
      activate: (app, languages) => {
        addLanguage(languages);
        app.docRegistry.addFileType({
          name: "rasp",
          displayName: "RASP",
          mimeTypes: [MIME],
          extensions: [".rasp"],
          fileFormat: "text",
        });
      },
    };
  };

  const cells = async () => {
    const { INotebookTracker } = await shared("@jupyterlab/notebook");
    return {
      id: "rasplab:cells",
      description: "%%rasp cells as RASP.",
      autoStart: true,
      requires: [INotebookTracker],
      activate: (app, notebooks) => {
        notebooks.forEach(followNotebook);
        notebooks.widgetAdded.connect((_, panel) => followNotebook(panel));
      },
    };
  };

  const extension = async () => {
    const plugins = await Promise.all([language(), cells()]);
    return () => ({ __esModule: true, default: plugins });
  };

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB.rasplab = {
    init: (sharedScope) => {
      scope = sharedScope;
    },
    get: (name) =>
      name === "./extension" ? extension() : Promise.reject(new Error(`rasplab has no ${name}`)),
  };
})();
