// SPDX-License-Identifier: Apache-2.0
// Start: read the session, then draw.
import { render } from 'preact';
import { App } from './app';
import { startRouter } from './router';
import { startSession } from './session';
import './style.css';

void startSession();
startRouter();
const root = document.getElementById('app');
if (root) render(<App />, root);
