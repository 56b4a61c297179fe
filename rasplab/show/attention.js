// Puts each picture in the place of its image, so that hovering shows values and the page's theme reaches it.
// Runs once per output; needs nothing else and no network.
for (const image of document.querySelectorAll("img.rl-figure")) {
  const comma = image.src.indexOf(",");
  if (!image.src.startsWith("data:image/svg+xml;base64,")) continue;
  const bytes = Uint8Array.from(atob(image.src.slice(comma + 1)), (c) => c.charCodeAt(0));
  const text = new TextDecoder().decode(bytes);
  const picture = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (picture.nodeName === "svg") image.replaceWith(document.importNode(picture, true));
}

// Grids of one pair answer together: the cell under the pointer is outlined in each, and its values are written out.
for (const pair of document.querySelectorAll(".pair")) {
  const grids = [...pair.querySelectorAll("svg")].map((svg) => [...svg.querySelectorAll("g:has(> title)")]);
  const note = pair.querySelector(".readout");
  const outline = (i, colour) =>
    grids.forEach((cells) => cells[i]?.lastElementChild.setAttribute("stroke", colour));
  grids.forEach((cells) =>
    cells.forEach((cell, i) => {
      cell.addEventListener("pointerenter", () => {
        outline(i, "#e08a1e");
        const values = grids.map((g) => g[i]?.querySelector("title").textContent.split(": ").at(-1));
        const [place] = cell.querySelector("title").textContent.split(": ");
        note.textContent = `${place}: selector ${values[0]}, compiled ${values[1]}, trained ${values[2]}`;
      });
      cell.addEventListener("pointerleave", () => outline(i, "none"));
    }),
  );
}
