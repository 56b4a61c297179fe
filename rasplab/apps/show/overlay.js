// A click on a head shows or hides its pattern; the buttons save the picture.
const picture = document.querySelector("#circuit svg");
for (const box of picture.querySelectorAll("g[data-site]")) {
  const pattern = document.querySelector(`[data-pattern="${box.dataset.site}"]`);
  if (!pattern) continue;
  box.addEventListener("click", () => {
    pattern.hidden = !pattern.hidden;
    box.classList.toggle("on", !pattern.hidden);
  });
}
function save(address, name) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}
const text = () => new XMLSerializer().serializeToString(picture);
const address = () => "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text());
document.querySelector("[data-save=svg]").onclick = () => save(address(), "circuit.svg");
document.querySelector("[data-save=png]").onclick = () => {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.width;
    canvas.height = 2 * image.height;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    save(canvas.toDataURL("image/png"), "circuit.png");
  };
  image.src = address();
};
