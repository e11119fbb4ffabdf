"use strict";
// A click enlarges a picture; folded parts are opened for printing.
{
  const dialog = document.getElementById("zoom");
  const large = dialog.querySelector("img");
  document.querySelectorAll("[data-zoom]").forEach((button) =>
    button.addEventListener("click", () => {
      const picture = button.querySelector("img");
      [large.src, large.alt] = [picture.src, picture.alt];
      dialog.showModal();
    }),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target === large) dialog.close();
  });
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
}
