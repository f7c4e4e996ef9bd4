// Uploads several files, by drop or by choice, one after the other: progress of each, then the model and its preview.

const drop = document.getElementById("upload");
const list = document.getElementById("uploads");
const maxBytes = Number(drop.dataset.maxBytes);
let queue = Promise.resolve();

for (const [name, on] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", on);
  });
}
drop.addEventListener("drop", (event) => add(event.dataTransfer.files));
drop.querySelector("input").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = "";
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => event.preventDefault());

function add(files) {
  for (const file of files) {
    const row = document.createElement("div");
    row.className = "upload";
    const name = document.createElement("p");
    name.textContent = file.name;
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", `Upload of ${file.name}`);
    const state = document.createElement("p");
    state.className = "note";
    state.textContent = "Waiting";
    row.append(name, bar, state);
    list.append(row);
    queue = queue.then(() => send(file, row, bar, state));
  }
}

function send(file, row, bar, state) {
  return new Promise((resolve) => {
    const fail = (text) => {
      bar.remove();
      state.className = "message bad";
      state.textContent = text;
      resolve();
    };
    if (file.size > maxBytes) {
      return fail(`The file is larger than ${Math.floor(maxBytes / 1e6)} MB`);
    }
    const form = new FormData();
    form.append("file", file);
    const request = new XMLHttpRequest();
    request.open("POST", "/portal/models");
    for (const [name, value] of Object.entries(JSON.parse(document.body.getAttribute("hx-headers")))) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => {
      bar.value = event.loaded / event.total;
      state.textContent = event.loaded < event.total ? `${Math.round(100 * bar.value)} %` : "Checking the file";
    };
    request.onload = () => {
      if (request.status === 401) return location.reload();
      const answer = new DOMParser().parseFromString(request.responseText, "text/html").body;
      if (request.status >= 400) return fail(answer.textContent.trim() || "The upload failed: try again");
      bar.remove();
      state.remove();
      row.append(...answer.children);
      htmx.process(row);
      showViewer();
      resolve();
    };
    request.onerror = () => fail("The connection was lost: try again");
    request.send(form);
  });
}

function showViewer() {
  if (document.querySelector(`script[src="${drop.dataset.viewer}"]`)) return;
  const script = document.createElement("script");
  script.type = "module";
  script.src = drop.dataset.viewer;
  document.head.append(script);
}
