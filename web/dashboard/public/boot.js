// Runs before the first paint: the theme and the language that were chosen the last time.
(function () {
  var root = document.documentElement;
  try {
    var chosen = JSON.parse(localStorage.getItem("mdhub-choices") || "{}").state || {};
    var light = matchMedia("(prefers-color-scheme: light)").matches;
    root.dataset.theme = chosen.theme || (light ? "light" : "dark");
    root.lang = chosen.language || (navigator.language.slice(0, 2) === "zh" ? "zh-CN" : "en");
  } catch {
    root.dataset.theme = "dark";
  }
})();
