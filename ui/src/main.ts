// Owns the start: the theme before the first paint, then the page.

import { mount } from 'svelte'
import App from './App.svelte'
import './app.css'
import { applyTheme, storedTheme } from './lib/theme'

applyTheme(storedTheme())

const target = document.getElementById('app')
if (!target) throw new Error('index.html lacks #app')
mount(App, { target })
