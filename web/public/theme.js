// Runs before the first paint, so that a chosen theme does not flash. A file of its own because the policy of the page
// forbids inline scripts.
try {
  const theme = localStorage.getItem("sotto.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is off: the system's preference holds.
}
