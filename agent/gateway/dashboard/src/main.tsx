import { render } from "preact";
import { App } from "./app";
import { startTheme } from "./state/theme";
import { warnBeforeLeaving } from "./state/uploads";
import "./styles/index.css";

const root = document.getElementById("app");
if (root === null) throw new Error("index.html has no #app");

startTheme();
warnBeforeLeaving();
render(<App />, root);
