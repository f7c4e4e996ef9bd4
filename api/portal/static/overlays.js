// Shows a chosen picture, before its upload, as each aspect will crop it.

const form = document.getElementById("overlay");
const preview = document.getElementById("preview");

form.addEventListener("change", (event) => {
  if (event.target.name === "alignment") preview.dataset.anchor = event.target.value;
  if (event.target.name !== "file") return;
  const file = event.target.files[0];
  preview.hidden = !file;
  for (const image of preview.querySelectorAll("img")) {
    if (image.src) URL.revokeObjectURL(image.src);
    if (file) image.src = URL.createObjectURL(file);
    image.hidden = !file;
    image.onerror = () => (preview.hidden = true); // not a picture
  }
});
