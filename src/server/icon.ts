/** What browsers ask for as /favicon.ico where a page names no icon: web/public/favicon.svg, drawn at 32 x 32, as PNG in an ICO. */
export const ICON = Buffer.from(
  [
    "AAABAAEAICAAAAEAIAAMAQAAFgAAAIlQTkcNChoKAAAADUlIRFIAAAAgAAAAIAgGAAAAc3p69AAAANNJREFUeNpjYEADvNlBBkA8H4jvA/F/Ku",
    "H7UDMNGHABoKQAEPdT0VJcGGSHADbLz9PBchg+j+IIOvkcIySQ4/z/AGEDBmjiGCgHzGegcmonOXcw4JLMWDQZjGntCAZclsMArR2B1QFtW1fA",
    "HQBiDxoHaNdl/H/45iUYg9h0dwAtQoYqDqAkZKjiAEpChqYO0K4I+f/wVAwYg9h0d0Dbwoj//6/HgTGIPfIcMOBRMHKy4cgpikdOdUzvBsmAN8",
    "kGvFE6sM3yAe+YDIqu2YB3Tgeyew4AMHHKCgP5+g8AAAAASUVORK5CYII=",
  ].join(""),
  "base64",
);
