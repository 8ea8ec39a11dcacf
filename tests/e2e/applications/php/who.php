<?php
echo $_SERVER['HTTP_X_SSO_USER'] ?? '';
